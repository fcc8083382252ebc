/* sets.h: what sets of keys, profiles of numbers by key, and what one finds in the other are.
 *
 * The engine part knows nothing of Lua.  Each box is one block of memory of Lua's, arrays
 * behind the struct, so that the collector knows its size and nothing has to be released.
 * Everything is computed with the four operations and square roots, which IEEE 754 defines
 * to the last bit, in an order that is written down here: the same input gives the same
 * bits on every machine, and beside whatever other sets it is computed.
 */
#ifndef LIG_SETS_H
#define LIG_SETS_H

#include "lig.h"

#define LIG_COLLECTION_CLASS "ligase.sets.collection"
#define LIG_PROFILE_CLASS "ligase.sets.profile"
#define LIG_MATCHING_CLASS "ligase.sets.matching"

#define LIG_NOWHERE UINT32_MAX

/* Sets of weighted, signed keys; set i has the members starts[i] .. starts[i + 1] - 1. */
struct lig_collection {
    size_t set_count, member_count;
    uint32_t mask;      /* of heads, whose count is a power of two */
    double *weights;    /* by member */
    int64_t *keys;      /* by member; nothing where absent */
    uint32_t *starts;   /* set_count + 1 */
    uint32_t *heads;    /* hash of a key -> its first member */
    uint32_t *next;     /* by member: the next one of the same hash */
    int8_t *signs;      /* by member: 1, -1, or 0 for neither */
    uint8_t *is_absent; /* by member: it has no key */
};

/* One number for each of different keys, in the order in which they came. */
struct lig_profile {
    size_t count;
    double *values;
    int64_t *keys;
    uint32_t *order; /* indices by falling value, the first come first among equals */
    uint32_t *place; /* the inverse: place of each index in order */
    bool is_sorted;  /* order and place are filled */
};

/* Which members of a collection a profile has. */
struct lig_matching {
    const struct lig_collection *collection;
    struct lig_profile *profile;
    uint32_t *found; /* by member: index in the profile, or LIG_NOWHERE */
};

/* Fills order and place, once. */
void lig_profile_sort(struct lig_profile *profile);

/* The matching at a stack index. */
struct lig_matching *lig_matching_check(lua_State *L, int index);

/* Pushes a list of numbers; NAN stands for host.null. */
void lig_numbers_push(lua_State *L, const double *numbers, size_t count);

/* Numbers of the field `name` of the table at `index`, within bounds, or `otherwise`. */
lua_Integer lig_field_integer(lua_State *L, int index, const char *name, lua_Integer otherwise,
                              lua_Integer min, lua_Integer max);
double lig_field_number(lua_State *L, int index, const char *name, double otherwise);

/* Whether the list in field `wanted` of the table at `index` wants place `i` (0-based); without
 * such a list all are wanted. */
bool lig_is_wanted(lua_State *L, int index, size_t i);

/* x to the power of a multiple of a quarter from 0 to 2, by square roots and products alone;
 * x is not negative.  `quarters` is the exponent times four. */
double lig_power(double x, int quarters);

/* The exponent of a table's field as quarters; raises "usage" for any other. */
int lig_field_quarters(lua_State *L, int index, const char *name, double otherwise);

/* The methods of a matching that look at ranks, and those that draw at random. */
extern const luaL_Reg lig_matching_rank_methods[];
extern const luaL_Reg lig_matching_chance_methods[];
extern const luaL_Reg lig_sets_chance_functions[];

#endif
