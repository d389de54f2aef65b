/*
 * What a device and its head-end say to each other before there is any key (flows.md 5, V1): DHCP, TFTP and DNS,
 * in clear.
 */
#ifndef TOLLGATE_MODELS_ACCESS_MESSAGE_H
#define TOLLGATE_MODELS_ACCESS_MESSAGE_H

#include "models/message.h"
#include "models/wire/dhcp.h"
#include "models/wire/dns.h"
#include "models/wire/tftp.h"

#define ACCESS_MESSAGE_MAX DHCP_MESSAGE_MAX /* one unfragmented datagram of any of the three */

/* Writes and sends; src 0: chosen. Nothing goes out when the struct holds what no message can. */
void dhcp_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t port, const struct dhcp *message);
void tftp_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t port, const struct tftp *message);
void dns_send(struct udp_socket *socket, uint32_t src, uint32_t dst, uint16_t port, const struct dns *message);

/* "00:11:22:33:44:55", as a configuration and RADIUS name a device. Upper case, as in its certificate. */
#define MAC_TEXT_LEN 18
const char *device_mac_text(const uint8_t mac[6], char out[MAC_TEXT_LEN]);
bool device_mac_read(const char *text, uint8_t mac[6]);

#endif
