/* The list of what waits for helpers: who goes next, and who has to leave when it is full. */
#include "waitlist.h"

#include <stdlib.h>

#include "test.h"

struct thing {
    struct waiter waiter;
    int number;
};

static struct waitlist list;

/* The number of the one that had to leave; -1: none. */
static int add(uint64_t key, bool urgent, int number)
{
    struct thing *thing = calloc(1, sizeof(*thing));
    thing->waiter.key = key;
    thing->waiter.urgent = urgent;
    thing->number = number;
    struct thing *out = (struct thing *)waitlist_add(&list, &thing->waiter);
    int left = out ? out->number : -1;
    free(out);
    return left;
}

/* -1: nothing waits. */
static int take(void)
{
    struct thing *thing = (struct thing *)waitlist_take(&list);
    int number = thing ? thing->number : -1;
    free(thing);
    return number;
}

static void end(void)
{
    while (take() >= 0)
        ;
    CHECK(waitlist_count(&list) == 0 && !waitlist_oldest(&list));
    waitlist_free(&list);
}

static void keys_take_turns(void)
{
    waitlist_init(&list, 100);
    for (int i = 10; i < 15; i++)
        add(1, false, i);
    add(2, false, 20);
    add(3, false, 30);
    add(2, false, 21);
    static const int order[] = {10, 20, 30, 11, 21, 12, 13, 14, -1};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        CHECK(take() == order[i]);
    end();
}

static void what_is_urgent_goes_first_in_turns_of_its_own(void)
{
    waitlist_init(&list, 100);
    add(1, false, 10);
    add(1, true, 11);
    add(1, true, 12);
    add(2, true, 21);
    CHECK(take() == 11 && take() == 21 && take() == 12 && take() == 10);
    end();
}

static void what_is_urgent_shuts_nobody_out(void)
{
    waitlist_init(&list, 100);
    for (int i = 0; i < 2 * WAITLIST_ROW; i++)
        add((uint64_t)i, true, i);
    add(1, false, 50);
    for (int i = 0; i < WAITLIST_ROW; i++)
        CHECK(take() == i);
    CHECK(take() == 50);
    add(1, false, 51);
    for (int i = 0; i < WAITLIST_ROW; i++)
        CHECK(take() == WAITLIST_ROW + i);
    CHECK(take() == 51);
    end();
}

/* Urgent ones that nobody waited behind do not count. */
static void a_row_begins_when_others_wait(void)
{
    waitlist_init(&list, 100);
    for (int i = 0; i < WAITLIST_ROW + 1; i++) {
        add(1, true, i);
        CHECK(take() == i);
    }
    add(2, false, 20);
    add(1, true, 10);
    CHECK(take() == 10 && take() == 20);
    end();
}

static void in_a_full_list_the_last_of_whoever_has_most_leaves(void)
{
    waitlist_init(&list, 4);
    for (int i = 10; i < 14; i++)
        CHECK(add(1, false, i) == -1);
    CHECK(add(1, false, 14) == 14); /* whoever has most is that one itself */
    CHECK(add(2, false, 20) == 13);
    CHECK(add(2, false, 21) == 12);
    CHECK(add(2, false, 22) == 22 && add(1, false, 15) == 15); /* then it would have more */
    CHECK(add(3, false, 30) == 11);
    CHECK(add(4, false, 40) == 21);
    CHECK(add(5, false, 50) == 50); /* one of each */
    CHECK(take() == 10 && take() == 20 && take() == 30 && take() == 40);
    end();
}

static void what_is_urgent_has_places_of_its_own(void)
{
    waitlist_init(&list, 2);
    CHECK(add(1, false, 10) == -1 && add(2, false, 20) == -1);
    CHECK(add(1, true, 11) == -1 && add(2, true, 21) == -1);
    CHECK(add(3, true, 31) == 31 && add(3, false, 30) == 30);
    CHECK(waitlist_count(&list) == 4);
    end();
}

static void the_oldest_is_the_first_that_came(void)
{
    waitlist_init(&list, 100);
    add(1, false, 10);
    add(2, true, 20);
    add(1, false, 11);
    struct waiter *w = waitlist_oldest(&list);
    CHECK(((struct thing *)w)->number == 10);
    CHECK(((struct thing *)waitlist_after(w))->number == 20);
    waitlist_remove(&list, w);
    free(w);
    CHECK(take() == 20);
    CHECK(((struct thing *)waitlist_oldest(&list))->number == 11);
    CHECK(!waitlist_after(waitlist_oldest(&list)));
    end();
}

static void without_room_it_takes_nothing(void)
{
    list = (struct waitlist){0};
    CHECK(add(1, false, 10) == 10 && add(1, true, 11) == 11);
    CHECK(take() == -1);
    end();
}

int main(void)
{
    RUN(keys_take_turns);
    RUN(what_is_urgent_goes_first_in_turns_of_its_own);
    RUN(what_is_urgent_shuts_nobody_out);
    RUN(a_row_begins_when_others_wait);
    RUN(in_a_full_list_the_last_of_whoever_has_most_leaves);
    RUN(what_is_urgent_has_places_of_its_own);
    RUN(the_oldest_is_the_first_that_came);
    RUN(without_room_it_takes_nothing);
    return DONE();
}
