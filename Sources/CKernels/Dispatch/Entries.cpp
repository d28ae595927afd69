// The C functions of the kernels: arguments checked, then handed to the vector code in use.
#include "Dispatch/ArgumentChecks.hpp"

using namespace ckernels;

#define CK_ENTRY(kernel, function, Args)                                                         \
  bool function(const Args *args, int threads) {                                                 \
    const Check found = check(*args);                                                            \
    return found == Check::empty || (found == Check::possible && code().kernel(*args, threads)); \
  }
CK_KERNELS(CK_ENTRY)
#undef CK_ENTRY

int64_t ck_connection_projection_count(const ck_connection *connection, int64_t tokens) {
  return tokens > 0 && isPossible(*connection) ? code().projectionCount(*connection, tokens) : 0;
}
