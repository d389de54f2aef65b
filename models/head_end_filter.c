/* Packet filter of a head-end; see head_end_filter.h. */
#include "models/head_end_filter.h"

#include <string.h>
#include "models/directory.h"

bool head_end_filter_reach(struct head_end_filter *f, uint32_t ip)
{
	if (!ip)
		return true;
	if (f->reach_count == FILTER_REACH_MAX)
		return false;
	f->reach[f->reach_count++] = ip;
	return true;
}

bool head_end_filter_reach_text(struct head_end_filter *f, const char *text)
{
	char one[IP_TEXT_LEN];
	uint32_t ip;

	while (*(text += strspn(text, ", "))) {
		size_t len = strcspn(text, ", ");

		if (len >= sizeof one)
			return false;
		memcpy(one, text, len);
		one[len] = '\0';
		if (!ip_parse(one, &ip) || !head_end_filter_reach(f, ip))
			return false;
		text += len;
	}
	return true;
}

/* Services that every device reaches, wherever they are; the controller is its segment's alone and is in reach[]. */
static bool open_service(const struct node *node, uint32_t ip)
{
	static const char *const kinds[] = { "kdc/", "pca/", "csr/" };
	const char *service = directory_service_at(world_directory(world_of(node->sim)), ip);

	for (size_t i = 0; service && i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(service, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

static bool open_to_all(const struct head_end_filter *f, const struct node *node, uint32_t ip)
{
	for (unsigned i = 0; i < f->reach_count; i++)
		if (f->reach[i] == ip)
			return true;
	return open_service(node, ip);
}

/* Whether a device at ip and its peer may hear from each other. */
static bool may_talk(const struct head_end_filter *f, const struct node *node, uint32_t ip, uint32_t peer)
{
	const struct lease *lease = lease_of_ip(f->leases, ip);

	if (!lease || !lease_live(lease, node->sim->now_ns))
		return false;
	return f->has_account(f->ctx, lease->mac) || open_to_all(f, node, peer);
}

static bool on_segment(const struct iface *hfc, uint32_t ip)
{
	return !((ip ^ hfc->ip) & (hfc->prefix_len ? UINT32_MAX << (32 - hfc->prefix_len) : 0));
}

bool head_end_filter_pass(struct node *node, void *ctx, const struct iface *in, const struct packet *packet,
                          const struct ip_info *info)
{
	struct head_end_filter *f = ctx;

	(void)packet;
	if ((in != f->hfc || may_talk(f, node, info->src, info->dst)) &&
	    (!on_segment(f->hfc, info->dst) || may_talk(f, node, info->dst, info->src)))
		return true;
	f->stopped++;
	trace_refuse(node, "he.filter", info->src, info->tag, "");
	sim_changed(node->sim, node);
	return false;
}
