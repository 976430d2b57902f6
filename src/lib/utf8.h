/*
 * Is this text UTF-8? Answered piece by piece, as bytes arrive, or for a whole text.
 *
 * RFC 3629 to the letter: overlong forms, surrogates and anything above U+10FFFF are refused, and
 * refused with the first byte that cannot belong to a valid text, not at the end of the sequence.
 * Used by the WebSocket reader, the JSON checker and wherever text comes in from outside.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state of a validation. All zero bytes: the start of a text. */
struct utf8 {
    uint8_t need; /* continuation bytes that must still come */
    uint8_t low;  /* the next one's bounds, which follow from the bytes before */
    uint8_t high;
    bool bad; /* a bad byte was seen: invalid for good */
};

/* Takes the next n bytes. False as soon as a byte is invalid, and ever after. */
bool utf8_feed(struct utf8 *u, const uint8_t *p, size_t n);

/* Whether the text may end here: nothing was invalid and no sequence is half done. */
bool utf8_complete(const struct utf8 *u);

/* Whether n bytes are a valid text by themselves. */
bool utf8_valid(const uint8_t *p, size_t n);

/* The number of code points in n bytes of valid UTF-8. */
size_t utf8_count(const char *s, size_t n);

/* The code point at the start of valid UTF-8, and its bytes in *size. */
uint32_t utf8_decode(const char *s, size_t *size);

/* Whether a code point disturbs what is written around it: controls (C0, DEL, C1), the line and
 * paragraph separators, embeddings, overrides and isolates. */
bool utf8_disrupts(uint32_t c);

/* Whether n bytes of valid UTF-8 leave alone what is written around them: no control characters,
 * nothing that breaks a line or turns the direction of what follows. */
bool utf8_inline(const char *s, size_t n);

#endif
