/* itemsets.h: the search for sets of items, without Lua.
 *
 * All memory belongs to the miner, and lig_miner_free gives it back, also after a failure.
 */
#ifndef LIG_ITEMSETS_H
#define LIG_ITEMSETS_H

#include "lig.h"

#include <stdint.h>

typedef struct lig_rules {
    uint32_t support, size, limit;
    double similarity, confidence;
} lig_rules;

/* Items that occur in the same transactions are one group: each goes with all others. */
typedef struct group {
    uint32_t first, count; // members
    uint32_t support;
} group;

/* A group that may be added to a set, and what the set would be then. */
typedef struct extension {
    uint32_t group, support, any, most;
} extension;

typedef struct extensions {
    extension *list;
    uint32_t count, room;
} extensions;

/* One level of the search: a set, what may be added, and what was tried before. */
typedef struct level {
    uint64_t *all, *any;       // transactions with all, and with any, of the items
    extensions later, earlier; // later: still to be tried at this level
    uint32_t support, any_count, most;
    uint32_t groups_before; // how many groups the set above has
    uint32_t size;          // members of its groups
    uint32_t next;          // place in later
} level;

typedef struct growing {
    uint32_t *list;
    size_t count, room;
} growing;

/* A set that was found: places in the lists of items and transactions where it ends. */
typedef struct found {
    size_t items_end, transactions_end;
    uint32_t support, any, most;
} found;

typedef struct lig_miner {
    lig_rules rules;
    uint32_t transaction_count, item_count, group_count;
    size_t words;
    uint32_t *supports; // by item
    uint32_t *places;   // by item: the last transaction it was met in; then its row of bits
    uint32_t *members;  // items of groups, group by group
    uint64_t *bits;     // by row
    group *groups;
    uint32_t *entries; // groups, transaction by transaction
    size_t *starts;    // by transaction: its first entry; one more at the end
    uint32_t *shared;  // by group: transactions shared with the group at hand, where counted
    level *levels;
    uint32_t level_count;
    growing path; // groups of the set at hand
    growing items, transactions;
    found *found;
    size_t found_count, found_room;
    bool has_popcount;
    bool is_cut; // there are more sets than the limit
} lig_miner;

typedef enum lig_mining { LIG_MINED, LIG_NO_MEMORY, LIG_INTERRUPTED } lig_mining;

/* Gives back all memory. */
void lig_miner_free(lig_miner *m);

/* The bits of a group. */
const uint64_t *lig_group_bits(const lig_miner *m, uint32_t g);

/* Looks for the sets, when groups, bits, entries and starts are there. */
lig_mining lig_miner_run(lig_miner *m);

#endif
