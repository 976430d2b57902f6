/* What is typed with a slash in front, and what is done with any other line. */
#ifndef COMMANDS_H
#define COMMANDS_H

/* Takes the line of the desk: sends it, or does what it says. */
void commands_enter(void);

#endif
