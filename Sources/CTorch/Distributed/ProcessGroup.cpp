// Stores and process groups of libtorch's c10d, with gloo as the transport. The only file that includes c10d's headers,
// which take long to compile.
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "Core/Internal.hpp"

struct wb_store {
  c10::intrusive_ptr<c10d::Store> value;
};

namespace wideband {
namespace {

/// A process group whose operations have tags of the caller's. Gloo gives a message to the operation of the same tag, so
/// operations of different tags wait for each other, where those of different sizes would end the process or leave
/// part of the result unwritten.
class TaggedGroup : public c10d::ProcessGroupGloo {
 public:
  using c10d::ProcessGroupGloo::ProcessGroupGloo;

  void setTag(uint32_t tag) { collectiveCounter_ = tag; }
};

}  // namespace
}  // namespace wideband

struct wb_process_group {
  c10::intrusive_ptr<wideband::TaggedGroup> value;
};

struct wb_exchange {
  c10::intrusive_ptr<c10d::Work> work;
  at::Tensor result;
};

namespace wideband {
namespace {

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1e3));
}

/// Settings of c10d, before its first use.
void prepare() {
  static const bool isDone = [] {
    // It writes stack traces of expected failures, such as a lost connection, to standard error. The variable has no effect
    // without the call.
    setenv("TORCH_CPP_LOG_LEVEL", "FATAL", 0);
    c10::initLogging();
    // Its record of past operations is written without a lock when groups of several threads start.
    setenv("TORCH_FR_BUFFER_SIZE", "0", 1);
    return true;
  }();
  (void)isDone;
}

void checkVector(const at::Tensor &tensor) {
  TORCH_CHECK(
      tensor.device().is_cpu() && tensor.dim() == 1 && tensor.is_contiguous(),
      "expected a contiguous vector in the processor's memory");
}

}  // namespace
}  // namespace wideband

wb_store *wb_store_connect(const char *host, int port, bool isServer, double seconds) {
  return wideband::guarded<wb_store *>(nullptr, [&] {
    wideband::prepare();
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(port);
    options.isServer = isServer;
    // The ranks wait for one another by name, so that an error can say which one is missing.
    options.waitWorkers = false;
    // A client tries for twice its timeout.
    options.timeout = wideband::milliseconds(seconds / 2);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    // A launcher may have keys of its own.
    return new wb_store{c10::make_intrusive<c10d::PrefixStore>("wideband", std::move(store))};
  });
}

wb_store *wb_store_create(void) {
  return wideband::guarded<wb_store *>(nullptr, [&] {
    wideband::prepare();
    return new wb_store{c10::make_intrusive<c10d::HashStore>()};
  });
}

wb_store *wb_store_under(const wb_store *store, const char *prefix) {
  return wideband::guarded<wb_store *>(
      nullptr, [&] { return new wb_store{c10::make_intrusive<c10d::PrefixStore>(prefix, store->value)}; });
}

wb_store *wb_store_clone(const wb_store *store) {
  return wideband::guarded<wb_store *>(nullptr, [&] { return new wb_store{store->value->clone()}; });
}

bool wb_store_set(const wb_store *store, const char *key, const char *text) {
  return wideband::guardedAction([&] { store->value->set(std::string(key), std::string(text)); });
}

const char *wb_store_get(const wb_store *store, const char *key, double seconds) {
  static thread_local std::string text;
  return wideband::guarded<const char *>(nullptr, [&] {
    store->value->wait({key}, wideband::milliseconds(seconds));
    text = store->value->get_to_str(key);
    return text.c_str();
  });
}

int wb_store_has(const wb_store *store, const char *key) {
  return wideband::guarded(-1, [&] { return store->value->check({key}) ? 1 : 0; });
}

void wb_store_release(wb_store *store) { delete store; }

wb_process_group *wb_process_group_create(
    const wb_store *store, int rank, int size, const char *address, double seconds) {
  return wideband::guarded<wb_process_group *>(nullptr, [&] {
    auto options = c10d::ProcessGroupGloo::Options::create(wideband::milliseconds(seconds));
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
    return new wb_process_group{
        c10::make_intrusive<wideband::TaggedGroup>(store->value, rank, size, std::move(options))};
  });
}

void wb_process_group_release(wb_process_group *group) { delete group; }

void wb_process_group_set_tag(wb_process_group *group, uint32_t tag) { group->value->setTag(tag); }

wb_exchange *wb_process_group_start_all_to_all(wb_process_group *group, const wb_tensor *input) {
  return wideband::guarded<wb_exchange *>(nullptr, [&] {
    auto source = input->value.detach();
    wideband::checkVector(source);
    auto result = at::empty_like(source);
    // No sizes: the parts are equal.
    std::vector<int64_t> none;
    auto work = group->value->alltoall_base(result, source, none, none);
    return new wb_exchange{std::move(work), std::move(result)};
  });
}

wb_tensor *wb_exchange_wait(wb_exchange *exchange) {
  return wideband::guardedTensor([&] {
    exchange->work->wait();
    return exchange->result;
  });
}

void wb_exchange_release(wb_exchange *exchange) { delete exchange; }

wb_exchange *wb_process_group_start_all_gather(wb_process_group *group, const wb_tensor *input) {
  return wideband::guarded<wb_exchange *>(nullptr, [&] {
    auto source = input->value.detach();
    wideband::checkVector(source);
    auto result = at::empty({source.numel() * group->value->getSize()}, source.options());
    auto work = group->value->_allgather_base(result, source);
    return new wb_exchange{std::move(work), std::move(result)};
  });
}

bool wb_process_group_broadcast(wb_process_group *group, const wb_tensor *tensor, int root) {
  return wideband::guardedAction([&] {
    std::vector<at::Tensor> tensors{tensor->value.detach()};
    TORCH_CHECK(
        tensors[0].device().is_cpu() && tensors[0].is_contiguous(),
        "expected a contiguous tensor in the processor's memory");
    c10d::BroadcastOptions options;
    options.rootRank = root;
    group->value->broadcast(tensors, options)->wait();
  });
}

bool wb_process_group_barrier(wb_process_group *group) {
  return wideband::guardedAction([&] { group->value->barrier()->wait(); });
}
