/* Commands and their options; see command.h. */
#include "command.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command *command_at(const struct cli *cli, size_t i)
{
    return (const void *)((const char *)cli->commands + i * cli->command_size);
}

int cli_words(const struct cli_command *command)
{
    return command->words[1] ? 2 : 1;
}

static void print_command(const struct cli_command *c, FILE *out)
{
    char line[100];
    snprintf(line, sizeof(line), "%s%s%s %s", c->words[0], c->words[1] ? " " : "",
             c->words[1] ? c->words[1] : "", c->arguments);
    fprintf(out, "  %-50s  %s\n", line, c->help);
}

void cli_print_usage(const struct cli *cli, FILE *out)
{
    fputs(cli->usage, out);
    for (size_t i = 0; i < cli->command_count; i++)
        print_command(command_at(cli, i), out);
    fputs(cli->notes, out);
}

void cli_refuse(const struct cli *cli)
{
    cli_print_usage(cli, stderr);
    exit(CLI_USAGE);
}

static int64_t number(const struct cli *cli, const struct cli_option *o)
{
    size_t n = strlen(optarg);
    if (n > 0 && n <= 18 && strspn(optarg, "0123456789") == n) {
        int64_t value = strtoll(optarg, NULL, 10);
        if (value >= o->least && value <= o->most)
            return value;
    }
    fprintf(stderr, "%s: --%s: \"%s\" is no number from %lld to %lld\n", cli->program, o->name,
            optarg, (long long)o->least, (long long)o->most);
    exit(CLI_USAGE);
}

static const struct cli_option *find_option(const struct cli *cli, int letter)
{
    for (size_t i = 0; i < cli->option_count; i++)
        if (cli->options[i].letter == letter)
            return &cli->options[i];
    cli_refuse(cli);
}

void cli_take(struct cli *cli, int letter)
{
    const struct cli_option *o = find_option(cli, letter);
    cli->given |= o->takes;
    if (o->flag)
        *o->flag = true;
    if (o->text)
        *o->text = optarg;
    if (o->number)
        *o->number = number(cli, o);
}

bool cli_is_command(const struct cli *cli, const char *word)
{
    for (size_t i = 0; i < cli->command_count; i++)
        if (strcmp(word, command_at(cli, i)->words[0]) == 0)
            return true;
    return false;
}

static bool is_named(const struct cli_command *c, char **words, int count)
{
    return count >= cli_words(c) && strcmp(words[0], c->words[0]) == 0 &&
           (!c->words[1] || strcmp(words[1], c->words[1]) == 0);
}

const struct cli_command *cli_find(const struct cli *cli, char **words, int count)
{
    for (size_t i = 0; i < cli->command_count; i++) {
        const struct cli_command *c = command_at(cli, i);
        int arguments = count - cli_words(c);
        if (!is_named(c, words, count))
            continue;
        if (arguments < c->least || arguments > c->most || (cli->given & ~c->takes))
            break;
        return c;
    }
    cli_refuse(cli);
}
