/* Turns: order within a queue, shares between them, and that nobody waits for more than one turn of
 * each of the others.
 *
 *   test_turns [SEED]     the random part with this seed
 */
#include "turns.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"

enum { SHARE = 100 };

struct thing {
    struct turn turn;
    uint64_t key;
    int number;
};

static struct turns turns;
static unsigned long long seed;

static struct thing *add(uint64_t key, int number, size_t cost)
{
    struct thing *thing = malloc(sizeof(*thing));
    *thing = (struct thing){.key = key, .number = number};
    turns_add(&turns, key, &thing->turn, cost);
    return thing;
}

/* The key and the number of what was taken; -1: nothing. */
static int take(uint64_t *key)
{
    struct thing *thing = (struct thing *)turns_take(&turns);
    int number = thing ? thing->number : -1;
    *key = thing ? thing->key : 0;
    free(thing);
    return number;
}

static bool takes(uint64_t key, int number)
{
    uint64_t k;
    int n = take(&k);
    return k == key && n == number;
}

static void nothing_comes_of_nothing(void)
{
    turns_init(&turns, SHARE);
    CHECK(!turns_take(&turns) && !turns_take_of(&turns, 1));
    CHECK(turns.count == 0 && turns_count(&turns, 1) == 0 && turns_cost(&turns, 1) == 0);
    turns_free(&turns);
}

static void one_queue_keeps_its_order(void)
{
    turns_init(&turns, SHARE);
    for (int i = 0; i < 10; i++)
        add(7, i, i % 2 ? 1000 : 1);
    CHECK(turns.count == 10 && turns_count(&turns, 7) == 10 && turns_cost(&turns, 7) == 5005);
    for (int i = 0; i < 10; i++)
        CHECK(takes(7, i));
    CHECK(turns.count == 0 && turns_cost(&turns, 7) == 0);
    turns_free(&turns);
}

static void who_comes_late_goes_after_one_turn_of_each_before(void)
{
    turns_init(&turns, SHARE);
    for (int i = 0; i < 1000; i++)
        add(1, i, 50);
    for (int i = 0; i < 3; i++)
        CHECK(takes(1, i));
    add(2, 0, 50);
    CHECK(takes(1, 3));
    CHECK(takes(2, 0));
    CHECK(takes(1, 4));
    while (turns.count > 0)
        free(turns_take(&turns));
    turns_free(&turns);
}

static void a_share_is_of_cost_not_of_number(void)
{
    turns_init(&turns, SHARE);
    for (int i = 0; i < 100; i++) {
        add(1, i, 10);
        add(2, i, 100);
    }
    int of[3] = {0};
    for (int i = 0; i < 55; i++) {
        uint64_t key;
        take(&key);
        of[key]++;
    }
    CHECK(of[1] == 50 && of[2] == 5);
    while (turns.count > 0)
        free(turns_take(&turns));
    turns_free(&turns);
}

static void out_of_turn(void)
{
    turns_init(&turns, SHARE);
    add(1, 0, 1);
    struct thing *first = add(2, 0, 1), *second = add(2, 1, 1);
    add(3, 0, 1);
    CHECK(turns_take_of(&turns, 2) == &first->turn && turns_take_of(&turns, 2) == &second->turn);
    CHECK(!turns_take_of(&turns, 2) && turns.count == 2);
    CHECK(takes(1, 0) && takes(3, 0));
    free(first);
    free(second);
    turns_free(&turns);
}

static void the_first_and_the_last_can_be_looked_at(void)
{
    turns_init(&turns, SHARE);
    CHECK(!turns_first_of(&turns, 1) && !turns_last_of(&turns, 1));
    struct thing *first = add(1, 0, 1), *last = add(1, 1, 1);
    add(2, 0, 1);
    CHECK(turns_first_of(&turns, 1) == &first->turn && turns_last_of(&turns, 1) == &last->turn);
    CHECK(takes(1, 0) && turns_first_of(&turns, 1) == &last->turn);
    CHECK(takes(1, 1) && takes(2, 0));
    turns_free(&turns);
}

static void whoever_has_most_can_lose_its_last(void)
{
    turns_init(&turns, SHARE);
    uint64_t key = 0;
    CHECK(!turns_last_of_most(&turns, &key));
    struct thing *one = add(1, 0, 1), *first = add(2, 0, 50), *last = add(2, 1, 70);
    CHECK(turns_last_of_most(&turns, &key) == &last->turn && key == 2);
    turns_remove(&turns, 2, &last->turn);
    CHECK(turns.count == 2 && turns_count(&turns, 2) == 1 && turns_cost(&turns, 2) == 50);
    struct thing *middle = add(1, 1, 1);
    add(1, 2, 1);
    turns_remove(&turns, 1, &middle->turn);
    turns_remove(&turns, 2, &first->turn);
    CHECK(turns.count == 2 && turns_count(&turns, 2) == 0);
    CHECK(turns_last_of_most(&turns, &key) != &one->turn && key == 1);
    CHECK(takes(1, 0) && takes(1, 2) && turns.count == 0);
    free(first);
    free(middle);
    free(last);
    turns_free(&turns);
}

/* --- random runs --- */

enum { KEYS = 6, DEAREST = 350, STEPS = 200000 };

static unsigned random_below(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % n;
}

/* What was served of each other queue since a thing came to an empty queue. */
static struct {
    bool waits;
    size_t cost, of[KEYS];
    int next, added; /* numbers */
} keys[KEYS];

static void random_add(void)
{
    unsigned k = random_below(KEYS);
    size_t cost = 1 + random_below(random_below(4) ? SHARE / 4 : DEAREST);
    if (keys[k].added == keys[k].next) {
        keys[k].waits = true;
        keys[k].cost = cost;
        memset(keys[k].of, 0, sizeof(keys[k].of));
    }
    add(k, keys[k].added++, cost);
}

/* Each of the others gets a turn for each that the thing itself needs, and what it had left. */
static bool waited_too_long(unsigned k)
{
    size_t needed = (keys[k].cost + SHARE - 1) / SHARE;
    for (unsigned i = 0; i < KEYS; i++)
        if (i != k && keys[k].of[i] > needed * SHARE + DEAREST)
            return true;
    return false;
}

static void random_take(void)
{
    struct thing *thing = (struct thing *)turns_take(&turns);
    if (!thing)
        return;
    unsigned k = (unsigned)thing->key;
    CHECK(thing->number == keys[k].next);
    keys[k].next++;
    CHECK(!keys[k].waits || !waited_too_long(k));
    keys[k].waits = false;
    for (unsigned i = 0; i < KEYS; i++)
        keys[i].of[k] += thing->turn.cost;
    free(thing);
}

static void nobody_waits_for_more_than_a_turn_of_each_other(void)
{
    printf("# seed %llu\n", seed);
    turns_init(&turns, SHARE);
    for (int i = 0; i < STEPS && !test_failed; i++)
        if (random_below(100) < 49)
            random_add();
        else
            random_take();
    while (turns.count > 0 && !test_failed)
        random_take();
    for (unsigned i = 0; i < KEYS; i++)
        CHECK(keys[i].next == keys[i].added && turns_count(&turns, i) == 0);
    turns_free(&turns);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (unsigned long long)time(NULL);
    RUN(nothing_comes_of_nothing);
    RUN(one_queue_keeps_its_order);
    RUN(who_comes_late_goes_after_one_turn_of_each_before);
    RUN(a_share_is_of_cost_not_of_number);
    RUN(out_of_turn);
    RUN(the_first_and_the_last_can_be_looked_at);
    RUN(whoever_has_most_can_lose_its_last);
    RUN(nobody_waits_for_more_than_a_turn_of_each_other);
    return DONE();
}
