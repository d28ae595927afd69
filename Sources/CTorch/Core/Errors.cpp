#include <string>

#include "Core/Internal.hpp"

namespace wideband {

static thread_local std::string lastError;

void setLastError(const char *message) { lastError = message; }

}  // namespace wideband

const char *wb_last_error(void) { return wideband::lastError.c_str(); }
