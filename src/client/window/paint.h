/* Puts everything on the screen: the list, the open conversation, what there is to say, the line.
 */
#ifndef PAINT_H
#define PAINT_H

void paint(void);

#endif
