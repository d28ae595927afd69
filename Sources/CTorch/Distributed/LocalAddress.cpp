// The address of this machine that another host reaches it at.
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "Core/Internal.hpp"

namespace {

/// The local address of a socket that is connected to `remote`; empty where there is no route. Connecting a datagram
/// socket sends nothing: the system only chooses the interface.
std::string localAddress(const addrinfo &remote) {
  const int descriptor = socket(remote.ai_family, SOCK_DGRAM, 0);
  if (descriptor < 0) return "";
  sockaddr_storage local = {};
  socklen_t length = sizeof local;
  char text[NI_MAXHOST] = "";
  const auto address = reinterpret_cast<sockaddr *>(&local);
  const bool isFound = connect(descriptor, remote.ai_addr, remote.ai_addrlen) == 0 &&
                       getsockname(descriptor, address, &length) == 0 &&
                       getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0;
  close(descriptor);
  return isFound ? text : "";
}

}  // namespace

const char *wb_local_address(const char *host) {
  static thread_local std::string result;
  return wideband::guarded<const char *>(nullptr, [&] {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo *found = nullptr;
    // Any port: nothing is sent.
    const int failure = getaddrinfo(host, "9", &hints, &found);
    TORCH_CHECK(failure == 0, gai_strerror(failure));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
    for (const addrinfo *remote = found; remote; remote = remote->ai_next) {
      result = localAddress(*remote);
      if (!result.empty()) return result.c_str();
    }
    TORCH_CHECK(false, std::strerror(errno));
  });
}
