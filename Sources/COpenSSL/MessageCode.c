#include "COpenSSL.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

bool copenssl_hmac_sha256(const uint8_t *key, size_t key_size, const uint8_t *message, size_t message_size,
                          uint8_t code[copenssl_code_size]) {
    unsigned int size = 0;
    return HMAC(EVP_sha256(), key, (int)key_size, message, message_size, code, &size) != NULL &&
           size == copenssl_code_size;
}

bool copenssl_sha1(const uint8_t *message, size_t message_size, uint8_t digest[copenssl_sha1_size]) {
    unsigned int size = 0;
    return EVP_Digest(message, message_size, digest, &size, EVP_sha1(), NULL) == 1 && size == copenssl_sha1_size;
}

bool copenssl_codes_are_equal(const uint8_t *left, const uint8_t *right) {
    return CRYPTO_memcmp(left, right, copenssl_code_size) == 0;
}
