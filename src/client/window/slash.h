/* What is typed with a slash in front, and what is done with any other line. */
#ifndef SLASH_H
#define SLASH_H

/* Takes the line of the desk: sends it, or does what it says. */
void slash_enter(void);

#endif
