/*
 * TALI (RFC 3094), the Transport Adapter Layer Interface of 2000: frames on a TCP connection that carry SS7 messages
 * between the POTS signaling gateway and the PSTN. Bytes <-> struct, nothing else.
 *
 * A frame is "TALI", an operation code of four letters, the length of what follows (two bytes, low byte first) and
 * that. ISUP goes in TALI_MTP3 frames as a whole MTP3 message (isup.h), routing label and all, so that both ends and
 * decoders see the point codes. (TALI_ISOT frames are known too; decoders read ISUP in them from the circuit code on,
 * without the label.)
 */
#ifndef TOLLGATE_WIRE_TALI_H
#define TOLLGATE_WIRE_TALI_H

#include "models/wire/bytes.h"

#define TALI_HEADER_LEN 10
#define TALI_PAYLOAD_MAX 273   /* service octet and signaling information field, Q.703 section 2.3.8 */
#define TALI_FRAME_MAX (TALI_HEADER_LEN + TALI_PAYLOAD_MAX)
#define TALI_MONITOR_MAX 200   /* payload of moni, which mona gives back */

enum tali_kind {
	TALI_TEST,    /* is the connection alive, and may I send? answered by allo or proh */
	TALI_ALLOW,   /* allo: service messages are allowed */
	TALI_PROHIBIT, /* proh: service messages are not; answered by proa */
	TALI_PROHIBIT_ACK, /* proa */
	TALI_MONITOR, TALI_MONITOR_ACK, /* moni, mona: round trip */
	TALI_SCCP, TALI_ISOT, TALI_MTP3, TALI_SAAL,
	TALI_KIND_COUNT
};

struct tali {
	enum tali_kind kind;
	struct span payload;
};

/*
 * Takes the first frame off a stream. Returns its length; 0: more bytes are needed (nothing so far is wrong);
 * -1: this is no frame, and the connection is of no use any more.
 */
long tali_parse(const uint8_t *bytes, size_t len, struct tali *out);
/* Returns the length; 0: no room, or a payload that this kind may not have. */
size_t tali_write(const struct tali *frame, uint8_t *out, size_t size);
/* "mtp3": the operation code. */
const char *tali_name(enum tali_kind kind);
void tali_describe(const uint8_t *bytes, size_t len, wire_field *field, void *ctx);

#endif
