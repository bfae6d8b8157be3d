// OpenSSL as much of it as is needed here. Much of its interface is macros and callbacks, which Swift cannot use; what is behind
// these functions is OpenSSL's, and nothing of it reaches further than the Swift room that calls them.

#ifndef COPENSSL_H
#define COPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { copenssl_code_size = 32 };

/// HMAC-SHA256 of `message`; false when OpenSSL has no memory left for it.
bool copenssl_hmac_sha256(const uint8_t *key, size_t key_size, const uint8_t *message, size_t message_size,
                          uint8_t code[copenssl_code_size]);

/// Whether two codes are equal, found out in a time that does not depend on where they differ.
bool copenssl_codes_are_equal(const uint8_t *left, const uint8_t *right);

#endif
