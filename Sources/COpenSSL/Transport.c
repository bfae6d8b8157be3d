// A TLS client over memory: bytes in, bytes out. Sockets, waiting and time are the caller's.

#include "COpenSSL.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

struct copenssl_session {
    SSL *ssl;
    BIO *input;
    BIO *output;
    copenssl_reason reason;
    const char *error;
};

static SSL_CTX *raw(copenssl_context *context) { return (SSL_CTX *)context; }

const char *copenssl_last_error(void) {
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "unknown error";
}

// A key that is locked by a pass phrase is an error: there is nobody to ask.
static int no_pass_phrase(char *buffer, int size, int writing, void *context) {
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

copenssl_context *copenssl_context_new(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    // An idle connection keeps no buffers of 16 KB. A write may be repeated from another place: the caller's bytes move.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return (copenssl_context *)context;
}

void copenssl_context_free(copenssl_context *context) { SSL_CTX_free(raw(context)); }

static BIO *reading(const uint8_t *text, size_t size) {
    ERR_clear_error();
    return size <= INT_MAX ? BIO_new_mem_buf(text, (int)size) : NULL;
}

bool copenssl_context_trust(copenssl_context *context, const uint8_t *text, size_t size) {
    BIO *file = reading(text, size);
    if (file == NULL) return false;
    X509_STORE *store = SSL_CTX_get_cert_store(raw(context));
    bool added = false;
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509_AUX(file, NULL, no_pass_phrase, NULL)) != NULL) {
        added = X509_STORE_add_cert(store, certificate) == 1;
        X509_free(certificate);
        if (!added) break;
    }
    // Each file ends with there being no further certificate; any other error is one.
    if (added && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) added = false;
    BIO_free(file);
    return added;
}

bool copenssl_context_trust_system(copenssl_context *context) {
    ERR_clear_error();
    return SSL_CTX_set_default_verify_paths(raw(context)) == 1;
}

bool copenssl_context_set_certificate(copenssl_context *context, const uint8_t *text, size_t size) {
    BIO *file = reading(text, size);
    if (file == NULL) return false;
    X509 *certificate = PEM_read_bio_X509_AUX(file, NULL, no_pass_phrase, NULL);
    bool done = certificate != NULL && SSL_CTX_use_certificate(raw(context), certificate) == 1;
    X509_free(certificate);
    while (done && (certificate = PEM_read_bio_X509(file, NULL, no_pass_phrase, NULL)) != NULL) {
        // Owned by the context from here on, unless it could not be added.
        done = SSL_CTX_add0_chain_cert(raw(context), certificate) == 1;
        if (!done) X509_free(certificate);
    }
    if (done && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) done = false;
    BIO_free(file);
    return done;
}

bool copenssl_context_set_key(copenssl_context *context, const uint8_t *text, size_t size) {
    BIO *file = reading(text, size);
    if (file == NULL) return false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, no_pass_phrase, NULL);
    bool done = key != NULL && SSL_CTX_use_PrivateKey(raw(context), key) == 1 &&
                SSL_CTX_check_private_key(raw(context)) == 1;
    EVP_PKEY_free(key);
    BIO_free(file);
    return done;
}

// The certificate must be for this name or this address; a name is also told to the server, which may have several.
static bool expect_name(SSL *ssl, const char *name) {
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1) return true;
    ERR_clear_error();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

copenssl_session *copenssl_session_new(copenssl_context *context, const char *server_name) {
    ERR_clear_error();
    copenssl_session *session = OPENSSL_zalloc(sizeof *session);
    if (session == NULL) return NULL;
    session->ssl = SSL_new(raw(context));
    session->input = BIO_new(BIO_s_mem());
    session->output = BIO_new(BIO_s_mem());
    bool made = session->ssl != NULL && session->input != NULL && session->output != NULL;
    // An empty name would be no name at all to OpenSSL, and every certificate right.
    if (!made || server_name[0] == '\0' || !expect_name(session->ssl, server_name)) {
        if (made) {
            SSL_set_bio(session->ssl, session->input, session->output);
        } else {
            BIO_free(session->input);
            BIO_free(session->output);
        }
        copenssl_session_free(session);
        return NULL;
    }
    // Nothing to read means nothing yet.
    BIO_set_mem_eof_return(session->input, -1);
    SSL_set_bio(session->ssl, session->input, session->output);
    SSL_set_connect_state(session->ssl);
    return session;
}

void copenssl_session_free(copenssl_session *session) {
    if (session == NULL) return;
    SSL_free(session->ssl);  // And both BIOs, which are its own.
    OPENSSL_free(session);
}

static copenssl_reason reason_of_verification(long result) {
    switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return copenssl_unknown_authority;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return copenssl_other_name;
    default: return copenssl_other_reason;
    }
}

static void note_failure(copenssl_session *session) {
    unsigned long code = ERR_peek_last_error();
    session->reason = copenssl_other_reason;
    session->error = copenssl_last_error();
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) return;
    if (ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET) session->reason = copenssl_refused;  // An alert of the other side's.
    switch (ERR_GET_REASON(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: {
        long result = SSL_get_verify_result(session->ssl);
        session->reason = reason_of_verification(result);
        session->error = X509_verify_cert_error_string(result);
        break;
    }
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: session->reason = copenssl_certificate_wanted; break;
    case SSL_R_WRONG_VERSION_NUMBER: session->reason = copenssl_not_tls; break;
    }
}

static int outcome(copenssl_session *session, int result) {
    if (result > 0) return result;
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ: return copenssl_wants_input;
    case SSL_ERROR_ZERO_RETURN: return copenssl_closed;
    default: note_failure(session); return copenssl_failed;
    }
}

int copenssl_session_handshake(copenssl_session *session) {
    ERR_clear_error();
    return outcome(session, SSL_do_handshake(session->ssl));
}

int copenssl_session_read(copenssl_session *session, void *buffer, int size) {
    ERR_clear_error();
    return outcome(session, SSL_read(session->ssl, buffer, size));
}

int copenssl_session_write(copenssl_session *session, const void *bytes, int size) {
    ERR_clear_error();
    return outcome(session, SSL_write(session->ssl, bytes, size));
}

void copenssl_session_shut_down(copenssl_session *session) {
    ERR_clear_error();
    SSL_shutdown(session->ssl);  // Best effort: the connection ends either way.
}

bool copenssl_session_receive(copenssl_session *session, const void *bytes, int size) {
    return size == 0 || BIO_write(session->input, bytes, size) == size;
}

size_t copenssl_session_output(copenssl_session *session, const uint8_t **bytes) {
    char *start = NULL;
    long size = BIO_get_mem_data(session->output, &start);
    *bytes = (const uint8_t *)start;
    return size > 0 ? (size_t)size : 0;
}

void copenssl_session_sent(copenssl_session *session, size_t size) {
    // Reading is how a memory BIO forgets.
    char discarded[4096];
    while (size > 0) {
        int step = BIO_read(session->output, discarded, size < sizeof discarded ? (int)size : (int)sizeof discarded);
        if (step <= 0) return;
        size -= (size_t)step;
    }
}

copenssl_reason copenssl_session_reason(copenssl_session *session) { return session->reason; }

const char *copenssl_session_error(copenssl_session *session) { return session->error; }
