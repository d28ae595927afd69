// Every ATen operator through the dispatcher's boxed call: the operator's schema describes its arguments, so one function
// calls all of them, with autograd, dtypes and devices.
#include <ATen/core/dispatch/Dispatcher.h>

#include <vector>

#include "Core/Internal.hpp"

struct wb_operator {
  c10::OperatorHandle handle;
};

namespace wideband {
namespace {

const at::Tensor &tensor(const void *pointer) { return static_cast<const wb_tensor *>(pointer)->value; }

bool isOptionalTensorList(const c10::Type &type) {
  if (type.kind() != c10::TypeKind::ListType) return false;
  return type.castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::OptionalType;
}

c10::IValue boxed(const wb_argument &argument, const c10::Argument &formal) {
  switch (argument.kind) {
    case WB_NONE: return c10::IValue();
    case WB_TENSOR: return tensor(argument.pointer);
    case WB_INT:
      // An integer is accepted where the schema has a float.
      if (formal.type()->kind() == c10::TypeKind::FloatType) return static_cast<double>(argument.integer);
      return argument.integer;
    case WB_DOUBLE: return argument.real;
    case WB_BOOL: return argument.integer != 0;
    case WB_INTS: {
      auto first = static_cast<const int64_t *>(argument.pointer);
      return c10::IValue(std::vector<int64_t>(first, first + argument.count));
    }
    case WB_TENSORS: {
      auto first = static_cast<const wb_tensor *const *>(argument.pointer);
      if (isOptionalTensorList(*formal.type())) {
        c10::List<std::optional<at::Tensor>> list;
        for (int64_t i = 0; i < argument.count; i++)
          list.push_back(first[i] ? std::optional<at::Tensor>(first[i]->value) : std::nullopt);
        return c10::IValue(list);
      }
      c10::List<at::Tensor> list;
      list.reserve(argument.count);
      for (int64_t i = 0; i < argument.count; i++) list.push_back(first[i]->value);
      return c10::IValue(list);
    }
    case WB_STRING: return c10::IValue(std::string(static_cast<const char *>(argument.pointer)));
    case WB_DEVICE: return c10::IValue(device(argument.integer));
    case WB_GENERATOR: return c10::IValue(static_cast<const wb_generator *>(argument.pointer)->value);
  }
  TORCH_CHECK(false, "argument '", formal.name(), "' has an unknown kind ", static_cast<int>(argument.kind));
}

void unpack(const c10::IValue &value, std::vector<at::Tensor> &out) {
  if (value.isTensor()) {
    out.push_back(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor &item : value.toTensorVector()) out.push_back(item);
  }
}

}  // namespace
}  // namespace wideband

const wb_operator *wb_operator_find(const char *name, const char *overload) {
  return wideband::guarded<const wb_operator *>(
      nullptr, [&] { return new wb_operator{c10::Dispatcher::singleton().findSchemaOrThrow(name, overload)}; });
}

int wb_operator_call(
    const wb_operator *op, const wb_argument *arguments, int count, wb_tensor **results, int capacity) {
  return wideband::guarded(-1, [&] {
    const auto &formals = op->handle.schema().arguments();
    TORCH_CHECK(count <= static_cast<int>(formals.size()), "takes at most ", formals.size(), " arguments, not ", count);
    c10::Stack stack;
    stack.reserve(formals.size());
    for (size_t i = 0; i < formals.size(); i++) {
      if (static_cast<int>(i) < count) {
        stack.push_back(wideband::boxed(arguments[i], formals[i]));
      } else {
        TORCH_CHECK(formals[i].default_value().has_value(), "argument '", formals[i].name(), "' is missing");
        stack.push_back(*formals[i].default_value());
      }
    }
    op->handle.callBoxed(stack);
    std::vector<at::Tensor> out;
    for (const c10::IValue &value : stack) wideband::unpack(value, out);
    TORCH_CHECK(
        static_cast<int>(out.size()) <= capacity, "gave ", out.size(), " tensors where ", capacity, " were expected");
    for (size_t i = 0; i < out.size(); i++) results[i] = wideband::handle(std::move(out[i]));
    return static_cast<int>(out.size());
  });
}
