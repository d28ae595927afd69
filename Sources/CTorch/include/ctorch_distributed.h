// Ranks of a distributed run: the store in which they meet, and collective operations among them. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Texts by key, which all ranks share. Several threads may use a store; one that waits makes the others wait.
typedef struct wb_store wb_store;
typedef struct wb_process_group wb_process_group;
/// A collective operation that has been started.
typedef struct wb_exchange wb_exchange;

/// Connects to the store of a run at `host`:`port`, which this process serves if `is_server`. A client tries for `seconds`
/// until there is a server.
wb_store *wb_store_connect(const char *host, int port, bool is_server, double seconds);
/// A store for ranks that are threads of one process.
wb_store *wb_store_create(void);
/// The part of a store whose keys have a prefix, by the same connection.
wb_store *wb_store_under(const wb_store *store, const char *prefix);
/// The same store by a further connection, for another thread.
wb_store *wb_store_clone(const wb_store *store);
bool wb_store_set(const wb_store *store, const char *key, const char *text);
/// The text of a key, for which it waits up to `seconds`. It is valid until the thread's next call.
const char *wb_store_get(const wb_store *store, const char *key, double seconds);
/// 1 if the key has a text, 0 if it has none, -1 after a failure.
int wb_store_has(const wb_store *store, const char *key);
void wb_store_release(wb_store *store);

/// The address of this machine on the interface by which it reaches a host. It is valid until the thread's next call.
const char *wb_local_address(const char *host);

/// Connects to all other ranks, which make the same call, by the interface with the given address. An operation that
/// takes more than `seconds` fails; the group is of no use then.
wb_process_group *wb_process_group_create(
    const wb_store *store, int rank, int size, const char *address, double seconds);
/// Waits for operations that have not ended. Not to be called after a failure, when that may take long.
void wb_process_group_release(wb_process_group *group);
/// Gives the next operation a tag. Ranks whose operations have different tags wait for each other until time is up.
void wb_process_group_set_tag(wb_process_group *group, uint32_t tag);

/// Starts to send the r-th of `size` equal parts of a vector to rank r; the result has the parts of all ranks in their
/// order.
wb_exchange *wb_process_group_start_all_to_all(wb_process_group *group, const wb_tensor *input);
/// Starts to collect the vectors of all ranks, of equal lengths; the result has them in the order of ranks.
wb_exchange *wb_process_group_start_all_gather(wb_process_group *group, const wb_tensor *input);
/// Waits for the result. NULL after a failure.
wb_tensor *wb_exchange_wait(wb_exchange *exchange);
void wb_exchange_release(wb_exchange *exchange);

/// Overwrites a tensor with that of rank `root`.
bool wb_process_group_broadcast(wb_process_group *group, const wb_tensor *tensor, int root);
/// Returns when all ranks have called it.
bool wb_process_group_barrier(wb_process_group *group);

#ifdef __cplusplus
}
#endif
