/*
 * An index from a name (a number, an address in text, a transaction's name) to somebody's record: chained hash table
 * over copied names. It cannot be walked, so that nothing depends on its order; whoever needs an order keeps a list
 * beside it.
 */
#ifndef TOLLGATE_MODELS_NAME_INDEX_H
#define TOLLGATE_MODELS_NAME_INDEX_H

#include <stdint.h>

struct name_index;
struct name_index *name_index_new(void);
/* What it points to is not its own. NULL is harmless. */
void name_index_free(struct name_index *index);
/* record NULL: the name is taken out. */
void name_index_set(struct name_index *index, const char *name, void *record);
void *name_index_get(const struct name_index *index, const char *name); /* NULL: no such name */
uint32_t name_index_count(const struct name_index *index);

#endif
