// OpenSSL, as much of it as is needed here. Much of its interface is macros and callbacks, which Swift cannot use; what is behind
// these functions is OpenSSL's, and nothing of it reaches further than the Swift room that calls them.

#ifndef COPENSSL_H
#define COPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { copenssl_code_size = 32, copenssl_sha1_size = 20 };

/// HMAC-SHA256 of `message`; false when OpenSSL has no memory left for it.
bool copenssl_hmac_sha256(const uint8_t *key, size_t key_size, const uint8_t *message, size_t message_size,
                          uint8_t code[copenssl_code_size]);

/// SHA-1 of `message`; false when OpenSSL has no memory left for it.
bool copenssl_sha1(const uint8_t *message, size_t message_size, uint8_t digest[copenssl_sha1_size]);

/// Whether two codes are equal, found out in a time that does not depend on where they differ.
bool copenssl_codes_are_equal(const uint8_t *left, const uint8_t *right);

/// The authorities a TLS client trusts, and its own certificate.
typedef struct copenssl_context copenssl_context;

/// NULL when there is no memory left. It trusts nobody yet, speaks TLS 1.2 or newer, and verifies whom it talks to.
copenssl_context *copenssl_context_new(void);
void copenssl_context_free(copenssl_context *context);

// Each of these is false when the text (PEM) holds nothing of the kind, or cannot be used; `copenssl_last_error` says why.

/// Trusts the authorities in `text`.
bool copenssl_context_trust(copenssl_context *context, const uint8_t *text, size_t size);
/// Trusts the authorities this system trusts.
bool copenssl_context_trust_system(copenssl_context *context);
/// Our own certificate, those that sign it behind it.
bool copenssl_context_set_certificate(copenssl_context *context, const uint8_t *text, size_t size);
/// The key of our certificate, which must be set before.
bool copenssl_context_set_key(copenssl_context *context, const uint8_t *text, size_t size);

/// One side of a connection. Its bytes are brought and taken by the caller; it knows no socket.
typedef struct copenssl_session copenssl_session;

/// NULL when there is no memory left, or `server_name`, a name or a numeric address, cannot be in a certificate.
copenssl_session *copenssl_session_new(copenssl_context *context, const char *server_name);
void copenssl_session_free(copenssl_session *session);

/// What came of a step; otherwise it is a count of bytes, 0 for a step that has none to count.
enum { copenssl_wants_input = -1, copenssl_closed = -2, copenssl_failed = -3 };

int copenssl_session_handshake(copenssl_session *session);
int copenssl_session_read(copenssl_session *session, void *buffer, int size);
int copenssl_session_write(copenssl_session *session, const void *bytes, int size);
/// Tells the other side that nothing more will come from this one.
void copenssl_session_shut_down(copenssl_session *session);

/// Takes bytes that came from the other side; false when there is no memory left for them.
bool copenssl_session_receive(copenssl_session *session, const void *bytes, int size);
/// The bytes that are to be sent to the other side, and how many of them have been.
size_t copenssl_session_output(copenssl_session *session, const uint8_t **bytes);
void copenssl_session_sent(copenssl_session *session, size_t size);

/// Why the last step failed: one of these, and a text that is valid until the next step.
typedef enum {
    copenssl_other_reason,
    copenssl_unknown_authority,
    copenssl_other_name,
    copenssl_certificate_wanted,
    copenssl_refused,
    copenssl_not_tls,
} copenssl_reason;

copenssl_reason copenssl_session_reason(copenssl_session *session);
const char *copenssl_session_error(copenssl_session *session);

/// What OpenSSL said last on this thread.
const char *copenssl_last_error(void);

#endif
