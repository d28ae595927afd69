import CTorch

/// The integers, handles and strings that the arguments of one operator call point at.
final class ArgumentArena {
  private var lists: [UnsafeMutableRawPointer] = []

  init(_ arguments: [Operator.Argument]) { lists.reserveCapacity(arguments.count) }

  deinit { lists.forEach { $0.deallocate() } }

  func lower(_ argument: Operator.Argument) -> wb_argument {
    var lowered = wb_argument()
    switch argument {
    case .none: lowered.kind = WB_NONE
    case .tensor(let tensor):
      lowered.kind = WB_TENSOR
      lowered.pointer = tensor.pointer.map { UnsafeRawPointer($0) }
    case .int(let value):
      lowered.kind = WB_INT
      lowered.integer = Int64(value)
    case .double(let value):
      lowered.kind = WB_DOUBLE
      lowered.real = value
    case .bool(let value):
      lowered.kind = WB_BOOL
      lowered.integer = value ? 1 : 0
    case .ints(let values):
      lowered.kind = WB_INTS
      lowered.count = Int64(values.count)
      lowered.pointer = keep(values.map { Int64($0) })
    case .tensors(let tensors):
      lowered.kind = WB_TENSORS
      lowered.count = Int64(tensors.count)
      lowered.pointer = keep(tensors.map(\.pointer))
    case .string(let value):
      lowered.kind = WB_STRING
      lowered.pointer = keep(Array(value.utf8) + [0])
    case .device(let device):
      lowered.kind = WB_DEVICE
      lowered.integer = device.packed
    case .generator(let generator):
      lowered.kind = WB_GENERATOR
      lowered.pointer = UnsafeRawPointer(generator.pointer)
    }
    return lowered
  }

  private func keep<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: max(1, elements.count * MemoryLayout<Element>.stride), alignment: MemoryLayout<Element>.alignment)
    lists.append(memory)
    elements.withUnsafeBytes {
      memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count)
    }
    return UnsafeRawPointer(memory)
  }
}
