/*
 * Cryptoki's C functions: locks, looks up slot or session, checks pointers, and hands on to the other pkcs11_*.c files.
 *
 * Here is the one process-wide state of the face: `state`, the table of slots and sessions. PKCS #11 hands out integers
 * that are good in the whole process and has no context argument, so it cannot live elsewhere. The simulator does not
 * link this file. A mutex lets one call in at a time; an application that forbids the system's mutexes gets
 * CKR_CANT_LOCK.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "crypto/pkcs11_internal.h"

static struct {
	pthread_mutex_t lock;
	bool initialized;
	struct p11_slot *slots;       /* attached ones stay over C_Finalize() */
	struct p11_slot *environment; /* the one made by C_Initialize(), or NULL */
	struct p11_session *sessions;
	unsigned session_count;
	CK_SLOT_ID last_slot;
	CK_SESSION_HANDLE last_session;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER };

static CK_RV lock(void)
{
	pthread_mutex_lock(&state.lock);
	return state.initialized ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

static CK_RV unlock(CK_RV rv)
{
	pthread_mutex_unlock(&state.lock);
	return rv;
}

static CK_RV lock_slot(CK_SLOT_ID id, struct p11_slot **slot)
{
	CK_RV rv = lock();

	for (*slot = state.slots; *slot && (*slot)->id != id; *slot = (*slot)->next)
		;
	return rv == CKR_OK && !*slot ? CKR_SLOT_ID_INVALID : rv;
}

static CK_RV lock_session(CK_SESSION_HANDLE handle, struct p11_session **session)
{
	CK_RV rv = lock();

	for (*session = state.sessions; *session && (*session)->handle != handle; *session = (*session)->next)
		;
	return rv == CKR_OK && !*session ? CKR_SESSION_HANDLE_INVALID : rv;
}

/* The body of a function that works on a slot (s) or a session (s). */
#define ON_SLOT(id, arguments_good, call) \
	struct p11_slot *s; \
	CK_RV rv_ = lock_slot(id, &s); \
	return unlock(rv_ != CKR_OK ? rv_ : (arguments_good) ? (call) : CKR_ARGUMENTS_BAD)
#define IN_SESSION(handle, arguments_good, call) \
	struct p11_session *s; \
	CK_RV rv_ = lock_session(handle, &s); \
	return unlock(rv_ != CKR_OK ? rv_ : (arguments_good) ? (call) : CKR_ARGUMENTS_BAD)

static bool bytes_good(const void *bytes, CK_ULONG len)
{
	return (bytes || len == 0) && len <= P11_DATA_MAX;
}

static void end_operations(struct p11_session *session)
{
	p11_operation_end(&session->digest);
	p11_operation_end(&session->sign);
	p11_operation_end(&session->verify);
	p11_operation_end(&session->encrypt);
	p11_operation_end(&session->decrypt);
	if (session->finding)
		p11_find_final(session);
}

static CK_ULONG count_sessions(const struct p11_slot *slot, CK_FLAGS flags)
{
	CK_ULONG count = 0;

	for (const struct p11_session *session = state.sessions; session; session = session->next)
		count += session->slot == slot && (session->flags & flags) == flags;
	return count;
}

static void log_out(struct p11_slot *slot)
{
	for (struct p11_session *session = state.sessions; session; session = session->next) {
		if (session->slot == slot) {
			end_operations(session);
			p11_destroy_made(slot, session->handle);
		}
	}
	slot->logged_in = false;
}

/* Whoever closes a token's last session logs out. */
static CK_RV close_session(struct p11_session *session)
{
	struct p11_session **link = &state.sessions;
	struct p11_slot *slot = session->slot;

	while (*link != session)
		link = &(*link)->next;
	*link = session->next;
	state.session_count--;
	end_operations(session);
	p11_destroy_made(slot, session->handle);
	free(session);
	if (count_sessions(slot, 0) == 0)
		log_out(slot);
	return CKR_OK;
}

static CK_RV close_sessions(struct p11_slot *slot)
{
	struct p11_session *next;

	for (struct p11_session *session = state.sessions; session; session = next) {
		next = session->next;
		if (session->slot == slot)
			close_session(session);
	}
	return CKR_OK;
}

static CK_SLOT_ID link_slot(struct p11_slot *slot)
{
	struct p11_slot **link = &state.slots;

	while (*link)
		link = &(*link)->next;
	slot->id = ++state.last_slot;
	return (*link = slot)->id;
}

static void unlink_slot(struct p11_slot *slot)
{
	struct p11_slot **link = &state.slots;

	while (*link != slot)
		link = &(*link)->next;
	*link = slot->next;
	close_sessions(slot);
	p11_slot_free(slot);
}

CK_SLOT_ID pkcs11_attach(struct secure_module *sm, const char *pin)
{
	CK_SLOT_ID id;

	assert(strlen(pin) <= P11_PIN_MAX);
	pthread_mutex_lock(&state.lock);
	assert(!state.initialized || !state.environment);
	id = link_slot(p11_slot_new(sm, sm_owner(sm), pin, true));
	unlock(CKR_OK);
	return id;
}

void pkcs11_detach(CK_SLOT_ID id)
{
	struct p11_slot *slot;

	lock_slot(id, &slot);
	assert(slot && slot != state.environment);
	unlink_slot(slot);
	unlock(CKR_OK);
}

static CK_RV check_initialize(const CK_C_INITIALIZE_ARGS *args)
{
	bool callbacks;

	if (!args)
		return CKR_OK;
	callbacks = args->CreateMutex || args->DestroyMutex || args->LockMutex || args->UnlockMutex;
	if (args->pReserved ||
	    (callbacks && !(args->CreateMutex && args->DestroyMutex && args->LockMutex && args->UnlockMutex)))
		return CKR_ARGUMENTS_BAD;
	return callbacks && !(args->flags & CKF_OS_LOCKING_OK) ? CKR_CANT_LOCK : CKR_OK;
}

static CK_RV initialize(const CK_C_INITIALIZE_ARGS *args)
{
	CK_RV rv = check_initialize(args);

	if (rv != CKR_OK)
		return rv;
	if (state.initialized)
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	if (!state.slots) {
		state.environment = p11_slot_from_environment();
		if (!state.environment)
			return CKR_GENERAL_ERROR;
		link_slot(state.environment);
	}
	state.initialized = true;
	return CKR_OK;
}

CK_RV C_Initialize(void *args)
{
	pthread_mutex_lock(&state.lock);
	return unlock(initialize(args));
}

static CK_RV finalize(void)
{
	for (struct p11_slot *slot = state.slots; slot; slot = slot->next) {
		close_sessions(slot);
		p11_destroy_made(slot, 0);
	}
	if (state.environment)
		unlink_slot(state.environment);
	state.environment = NULL;
	state.initialized = false;
	return CKR_OK;
}

CK_RV C_Finalize(void *reserved)
{
	CK_RV rv = lock();

	return unlock(rv != CKR_OK ? rv : reserved ? CKR_ARGUMENTS_BAD : finalize());
}

static CK_RV get_info(CK_INFO *info)
{
	*info = (CK_INFO){ .cryptokiVersion = { CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR }, .libraryVersion = { 1, 0 } };
	p11_pad(info->manufacturerID, sizeof info->manufacturerID, "Tollgate");
	p11_pad(info->libraryDescription, sizeof info->libraryDescription, "Simulated secure module");
	return CKR_OK;
}

CK_RV C_GetInfo(CK_INFO *info)
{
	CK_RV rv = lock();

	return unlock(rv != CKR_OK ? rv : info ? get_info(info) : CKR_ARGUMENTS_BAD);
}

static CK_RV slot_list(CK_SLOT_ID *list, CK_ULONG *count)
{
	CK_ULONG room = *count, n = 0;

	for (const struct p11_slot *slot = state.slots; slot; slot = slot->next, n++) {
		if (list && n < room)
			list[n] = slot->id;
	}
	*count = n;
	return list && room < n ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

CK_RV C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *list, CK_ULONG *count)
{
	CK_RV rv = lock();

	(void)token_present; /* a module is never without its token */
	return unlock(rv != CKR_OK ? rv : count ? slot_list(list, count) : CKR_ARGUMENTS_BAD);
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
	ON_SLOT(slot, info, (p11_slot_info(s, info), CKR_OK));
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	ON_SLOT(slot, info, (p11_token_info(s, count_sessions(s, 0), count_sessions(s, CKF_RW_SESSION), info), CKR_OK));
}

CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
	CK_RV rv = lock();

	(void)slot;
	(void)reserved;
	return unlock(rv != CKR_OK ? rv : flags & CKF_DONT_BLOCK ? CKR_NO_EVENT : CKR_FUNCTION_NOT_SUPPORTED);
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	ON_SLOT(slot, count, p11_mechanism_list(list, count));
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	ON_SLOT(slot, info, p11_mechanism_info(type, info));
}

static CK_RV open_session(struct p11_slot *slot, CK_FLAGS flags, CK_SESSION_HANDLE *handle)
{
	struct p11_session *session;

	if (!(flags & CKF_SERIAL_SESSION))
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	if (state.session_count >= P11_SESSIONS_MAX)
		return CKR_SESSION_COUNT;
	session = calloc(1, sizeof *session);
	if (!session)
		return CKR_HOST_MEMORY;
	session->handle = ++state.last_session;
	session->slot = slot;
	session->flags = flags & (CKF_SERIAL_SESSION | CKF_RW_SESSION);
	session->next = state.sessions;
	state.sessions = session;
	state.session_count++;
	*handle = session->handle;
	return CKR_OK;
}

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
	(void)application; /* no event is ever told */
	(void)notify;
	ON_SLOT(slot, session, open_session(s, flags, session));
}

CK_RV C_CloseSession(CK_SESSION_HANDLE session)
{
	IN_SESSION(session, true, close_session(s));
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
	ON_SLOT(slot, true, close_sessions(s));
}

static CK_RV session_info(const struct p11_session *session, CK_SESSION_INFO *info)
{
	const bool rw = session->flags & CKF_RW_SESSION;

	*info = (CK_SESSION_INFO){ .slotID = session->slot->id, .flags = session->flags };
	if (session->slot->logged_in)
		info->state = rw ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
	else
		info->state = rw ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
	return CKR_OK;
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
	IN_SESSION(session, info, session_info(s, info));
}

CK_RV C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
	IN_SESSION(session, bytes_good(pin, pin_len), p11_login(s->slot, user, pin, pin_len));
}

CK_RV C_Logout(CK_SESSION_HANDLE session)
{
	IN_SESSION(session, true, s->slot->logged_in ? (log_out(s->slot), CKR_OK) : CKR_USER_NOT_LOGGED_IN);
}

CK_RV C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
	IN_SESSION(session, bytes_good(attributes, count) && object, p11_create(s, attributes, count, object));
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	IN_SESSION(session, true, p11_destroy(s, object));
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	IN_SESSION(session, bytes_good(attributes, count), p11_get_attributes(s->slot, object, attributes, count));
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	IN_SESSION(session, bytes_good(attributes, count), p11_find_init(s, attributes, count));
}

CK_RV C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
	IN_SESSION(session, bytes_good(objects, max) && count, p11_find(s, objects, max, count));
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE session)
{
	IN_SESSION(session, true, p11_find_final(s));
}

CK_RV C_EncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	IN_SESSION(session, mechanism, p11_cipher_init(s, &s->encrypt, mechanism, key));
}

CK_RV C_Encrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, bytes_good(data, len) && out_len, p11_cipher(s, &s->encrypt, data, len, out, out_len));
}

CK_RV C_EncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, bytes_good(data, len) && out_len,
	           p11_cipher_update(s, &s->encrypt, data, len, out, out_len));
}

CK_RV C_EncryptFinal(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, out_len, p11_cipher_final(s, &s->encrypt, out, out_len));
}

CK_RV C_DecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	IN_SESSION(session, mechanism, p11_cipher_init(s, &s->decrypt, mechanism, key));
}

CK_RV C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, bytes_good(data, len) && out_len, p11_cipher(s, &s->decrypt, data, len, out, out_len));
}

CK_RV C_DecryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, bytes_good(data, len) && out_len,
	           p11_cipher_update(s, &s->decrypt, data, len, out, out_len));
}

CK_RV C_DecryptFinal(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, out_len, p11_cipher_final(s, &s->decrypt, out, out_len));
}

CK_RV C_DigestInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism)
{
	IN_SESSION(session, mechanism, p11_digest_init(s, mechanism));
}

CK_RV C_Digest(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, bytes_good(data, len) && out_len, p11_digest(s, data, len, out, out_len));
}

CK_RV C_DigestUpdate(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len)
{
	IN_SESSION(session, bytes_good(data, len), p11_digest_update(s, data, len));
}

CK_RV C_DigestFinal(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, out_len, p11_digest_final(s, out, out_len));
}

CK_RV C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	IN_SESSION(session, mechanism, p11_sign_init(s, mechanism, key));
}

CK_RV C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, bytes_good(data, len) && out_len, p11_sign(s, data, len, out, out_len));
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len)
{
	IN_SESSION(session, bytes_good(data, len), p11_sign_update(s, data, len));
}

CK_RV C_SignFinal(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, out_len, p11_sign_final(s, out, out_len));
}

CK_RV C_VerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	IN_SESSION(session, mechanism, p11_verify_init(s, mechanism, key));
}

CK_RV C_Verify(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG signature_len)
{
	IN_SESSION(session, bytes_good(data, len) && signature, p11_verify(s, data, len, signature, signature_len));
}

CK_RV C_VerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len)
{
	IN_SESSION(session, bytes_good(data, len), p11_verify_update(s, data, len));
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len)
{
	IN_SESSION(session, signature, p11_verify_final(s, signature, signature_len));
}

CK_RV C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes, CK_ULONG count,
                    CK_OBJECT_HANDLE *key)
{
	IN_SESSION(session, mechanism && bytes_good(attributes, count) && key,
	           p11_generate(s, mechanism, attributes, count, key));
}

CK_RV C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                CK_BYTE *out, CK_ULONG *out_len)
{
	IN_SESSION(session, mechanism && out_len, p11_wrap(s, mechanism, wrapping, key, out, out_len));
}

CK_RV C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping, CK_BYTE *wrapped,
                  CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	IN_SESSION(session, mechanism && bytes_good(wrapped, wrapped_len) && bytes_good(attributes, count) && key,
	           p11_unwrap(s, mechanism, unwrapping, wrapped, wrapped_len, attributes, count, key));
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *attributes,
                  CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	IN_SESSION(session, mechanism && bytes_good(attributes, count) && key,
	           p11_derive(s, mechanism, base, attributes, count, key));
}

CK_RV C_SeedRandom(CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG len)
{
	IN_SESSION(session, bytes_good(seed, len), CKR_RANDOM_SEED_NOT_SUPPORTED); /* the module's stream is its own */
}

static CK_RV generate_random(struct p11_session *session, CK_BYTE *out, CK_ULONG len)
{
	const struct random_source *random = sm_random(session->slot->sm);

	if (len > 0)
		random->fill(random->ctx, out, len);
	return CKR_OK;
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG len)
{
	IN_SESSION(session, bytes_good(out, len), generate_random(s, out, len));
}

/* What a secure module of this architecture does not offer: its keys, PIN and objects are put in at manufacture. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

CK_RV C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_InitPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_SetPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR *old_pin, CK_ULONG old_len, CK_UTF8CHAR *new_pin,
               CK_ULONG new_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_GetOperationState(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE *operation, CK_ULONG len, CK_OBJECT_HANDLE encryption_key,
                          CK_OBJECT_HANDLE authentication_key)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count,
                   CK_OBJECT_HANDLE *copy)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_DigestKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_SignRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_SignRecover(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_VerifyRecover(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_attributes,
                        CK_ULONG public_count, CK_ATTRIBUTE *private_attributes, CK_ULONG private_count,
                        CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE session)
{
	return CKR_FUNCTION_NOT_PARALLEL;
}

CK_RV C_CancelFunction(CK_SESSION_HANDLE session)
{
	return CKR_FUNCTION_NOT_PARALLEL;
}

#pragma GCC diagnostic pop

#define F(name) .name = name
static CK_FUNCTION_LIST functions = {
	.version = { CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR },
	F(C_Initialize), F(C_Finalize), F(C_GetInfo), F(C_GetFunctionList), F(C_GetSlotList), F(C_GetSlotInfo),
	F(C_GetTokenInfo), F(C_GetMechanismList), F(C_GetMechanismInfo), F(C_InitToken), F(C_InitPIN), F(C_SetPIN),
	F(C_OpenSession), F(C_CloseSession), F(C_CloseAllSessions), F(C_GetSessionInfo), F(C_GetOperationState),
	F(C_SetOperationState), F(C_Login), F(C_Logout), F(C_CreateObject), F(C_CopyObject), F(C_DestroyObject),
	F(C_GetObjectSize), F(C_GetAttributeValue), F(C_SetAttributeValue), F(C_FindObjectsInit), F(C_FindObjects),
	F(C_FindObjectsFinal), F(C_EncryptInit), F(C_Encrypt), F(C_EncryptUpdate), F(C_EncryptFinal), F(C_DecryptInit),
	F(C_Decrypt), F(C_DecryptUpdate), F(C_DecryptFinal), F(C_DigestInit), F(C_Digest), F(C_DigestUpdate),
	F(C_DigestKey),
	F(C_DigestFinal), F(C_SignInit), F(C_Sign), F(C_SignUpdate), F(C_SignFinal), F(C_SignRecoverInit),
	F(C_SignRecover),
	F(C_VerifyInit), F(C_Verify), F(C_VerifyUpdate), F(C_VerifyFinal), F(C_VerifyRecoverInit), F(C_VerifyRecover),
	F(C_DigestEncryptUpdate), F(C_DecryptDigestUpdate), F(C_SignEncryptUpdate), F(C_DecryptVerifyUpdate),
	F(C_GenerateKey),
	F(C_GenerateKeyPair), F(C_WrapKey), F(C_UnwrapKey), F(C_DeriveKey), F(C_SeedRandom), F(C_GenerateRandom),
	F(C_GetFunctionStatus), F(C_CancelFunction), F(C_WaitForSlotEvent),
};

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	if (!list)
		return CKR_ARGUMENTS_BAD;
	*list = &functions;
	return CKR_OK;
}
