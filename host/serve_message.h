/* serve_message.h: requests and answers as Lua sees them. */
#ifndef LIG_SERVE_MESSAGE_H
#define LIG_SERVE_MESSAGE_H

#include "lig.h"
#include "serve.h"

/* Pushes a request as a table. */
void lig_request_push(lua_State *L, const lig_request *request);

/* Begins the exchange's answer as the table at the index says, or forgets it when that says
 * drop; raises a usage error when it is no answer. `delay_s`: how long it has to wait. */
void lig_answer_take(lua_State *L, int index, lig_exchange *exchange, double *delay_s);

/* Raises a usage error when the table at the index has a field that is not among the names:
 * "<what> has no <field>". */
void lig_names_check(lua_State *L, int index, const char *what, const char *const *names,
                     size_t count);

#endif
