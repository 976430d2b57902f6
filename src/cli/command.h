/*
 * The command line of a program that has commands: their table, how one is found among the words,
 * the usage, and the options that only some commands take.
 *
 * A program puts struct cli_command first in a struct of its own, which also has the function to
 * call. What is wrong with a command line is told on standard error, and ends the program with
 * CLI_USAGE.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_USAGE = 2 };

struct cli_command {
    const char *words[2]; /* the second: NULL if there is none */
    int least, most;      /* arguments behind them */
    unsigned takes;       /* options, a set of the program's own */
    const char *arguments, *help;
};

/* An option that only some commands take, and where its value goes: a flag that is set, a text
 * that is not copied, or a number within bounds. */
struct cli_option {
    int letter;     /* as getopt_long(3) returns it */
    unsigned takes; /* commands that take any of these */
    bool *flag;
    const char **text;
    int64_t *number;
    int64_t least, most;
    const char *name; /* of a number */
};

struct cli {
    const char *program;
    const char *usage, *notes; /* the lines before and after the commands */
    const void *commands;      /* of a struct that begins with struct cli_command */
    size_t command_size, command_count;
    const struct cli_option *options;
    size_t option_count;
    unsigned given; /* what the options that were taken ask for */
};

void cli_print_usage(const struct cli *cli, FILE *out);
void cli_refuse(const struct cli *cli) __attribute__((noreturn));

/* Takes what getopt_long(3) has returned, with its optarg. */
void cli_take(struct cli *cli, int letter);

/* Is this the first word of a command? */
bool cli_is_command(const struct cli *cli, const char *word);

/* The command that the words name, which takes what is given. Its arguments begin at
 * words[cli_words()]. */
const struct cli_command *cli_find(const struct cli *cli, char **words, int count);
int cli_words(const struct cli_command *command);

#endif
