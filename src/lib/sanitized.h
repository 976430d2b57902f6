/*
 * SANITIZED: AddressSanitizer is built in. Its runtime looks into /proc, traces its own process and
 * maps what it likes, so such a build is not confined.
 */
#ifndef SANITIZED_H
#define SANITIZED_H

#define SANITIZED 0
#ifdef __SANITIZE_ADDRESS__ /* gcc */
#undef SANITIZED
#define SANITIZED 1
#endif
#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#undef SANITIZED
#define SANITIZED 1
#endif
#endif

#endif
