/*
 * The PKCS#11 face of the secure module (PKCS #11 v2.40; patent FIG. 2C, [0062], [0076]): Cryptoki's C functions over
 * struct secure_module, as a shared library for any PKCS#11 program or, by pkcs11_attach(), over a simulated device's
 * module.
 *
 * What the face holds to:
 * - No attribute and no function gives a private or secret key in the clear: CKA_SENSITIVE is true for all,
 *   CKA_EXTRACTABLE false for private and session keys. A sub-key leaves only wrapped under another key that came into
 *   being inside.
 * - Raw use of a 3DES key (encrypt, decrypt, HMAC) and structured use (wrap, unwrap, derive, ESP) exclude each other,
 *   for the raw operations are what the structured ones are built of: an HMAC oracle on a sub-key would be its key
 *   derivation. Keys that the simulated protocols put into the module have structured use only.
 * - An ESP packet is opened by one C_Decrypt() under the sub-key: authenticated, checked for replay and decrypted, or
 *   nothing.
 *
 * As a shared library (no module attached) C_Initialize() makes one token from the environment: TOLLGATE_PKCS11_SEED
 * (default 1), _NAME ("tollgate"), _BITS (2048), _PIN ("1234"), _CACHE (a folder for the key pool; none), _STRICT (1:
 * as for attached modules, see pkcs11_attach()). Its label is "tollgate". The same environment gives the same key pair
 * and the same "random" bytes: it is a simulated device, not a place for real secrets.
 *
 * The one process-wide state is the table of slots and sessions that Cryptoki's interface cannot do without (pkcs11.c).
 * Nothing in the simulator links it. All functions may be called from several threads; one at a time runs.
 */
#ifndef TOLLGATE_CRYPTO_PKCS11_H
#define TOLLGATE_CRYPTO_PKCS11_H

#include <p11-kit/pkcs11.h>
#include "crypto/secure_module.h"

/*
 * Shows a module as a slot; its token's label is the module's owner. To be called before C_Initialize(), which then
 * makes no token of its own. The module must outlive the slot. An attached device's RSA key signs and does nothing
 * else: with decryption or unwrapping for raw use, what PKINIT seals to the device could be read. The key of the
 * environment's token also decrypts and unwraps.
 */
CK_SLOT_ID pkcs11_attach(struct secure_module *sm, const char *pin);
/* Closes the slot's sessions, destroys the keys made through it, and forgets it. */
void pkcs11_detach(CK_SLOT_ID slot);

#define CKM_TOLLGATE_ESP           (CKM_VENDOR_DEFINED | 0x54470001UL)
#define CKM_TOLLGATE_SUBKEY_DERIVE (CKM_VENDOR_DEFINED | 0x54470002UL)
#define CKM_TOLLGATE_SUBKEY_WRAP   (CKM_VENDOR_DEFINED | 0x54470003UL)

#define CKR_TOLLGATE_ESP_REPLAYED  (CKR_VENDOR_DEFINED | 0x54470001UL)
#define CKR_TOLLGATE_ESP_EXHAUSTED (CKR_VENDOR_DEFINED | 0x54470002UL)

/*
 * CKM_TOLLGATE_ESP: C_EncryptInit() and C_DecryptInit() under a sub-key with CKA_DERIVE; then one C_Encrypt() of a
 * payload or C_Decrypt() of an ESP packet (crypto/esp.h). An association is known by all members but next_header:
 * sequence numbers and replay window go on from operation to operation until its sub-key is destroyed. There is no way
 * to ask for a packet without its authentication. The output buffer must hold the input and ESP_FRONT_MAX +
 * ESP_BACK_MAX (encrypt) or the packet (decrypt). Errors of decryption: CKR_ENCRYPTED_DATA_LEN_RANGE (esp.malformed),
 * CKR_SIGNATURE_INVALID (esp.auth), CKR_TOLLGATE_ESP_REPLAYED, CKR_ENCRYPTED_DATA_INVALID (esp.padding).
 */
#define CKF_TOLLGATE_ESP_DOWN        1UL
#define CKF_TOLLGATE_ESP_IMPLICIT_IV 2UL
#define TOLLGATE_LABEL_MAX 64
typedef struct {
	CK_ULONG spi;
	CK_FLAGS flags;
	CK_UTF8CHAR_PTR label;  /* "CTA-SC signaling", ...; at most TOLLGATE_LABEL_MAX - 1 bytes */
	CK_ULONG label_len;
	CK_BYTE_PTR next_header; /* read by C_Encrypt(), written by C_Decrypt(); valid until then */
} CK_TOLLGATE_ESP_PARAMS;

/*
 * CKM_TOLLGATE_SUBKEY_DERIVE, C_DeriveKey(): parameter is the label's bytes. The key of sm_derive_des3(), for
 * structured use only. CKM_TOLLGATE_SUBKEY_WRAP, C_WrapKey() and C_UnwrapKey(): parameter is a CK_ULONG, the Kerberos
 * key usage of sm_wrap().
 */

#endif
