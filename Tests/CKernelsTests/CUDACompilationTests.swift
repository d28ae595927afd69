#if os(Linux) && arch(x86_64)
  import WidebandCKernelsCUDA
  import Testing

  /// The GPU's kernels through NVIDIA's compiler, without a GPU: they compile, and fit.
  @Suite struct CUDACompilationTests {
    /// A kind of connection for a GPU of compute capability `architecture` / 10.
    struct Kind: CustomStringConvertible {
      let m, n, C: Int64
      var element = CK_CUDA_BFLOAT16
      var isDynamic = true
      let architecture: Int32

      var description: String {
        "(\(m), \(n)) C \(C) \(element == CK_CUDA_BFLOAT16 ? "bfloat16" : "float32") "
          + "\(isDynamic ? "dynamic" : "static") sm_\(architecture)"
      }

      /// The most shared memory that a block can have, from NVIDIA's tables.
      var sharedBytes: Int32 { architecture == 80 ? 163 << 10 : 227 << 10 }

      static let all: [Kind] = [80, 90].flatMap { (architecture: Int32) -> [Kind] in
        [(2, 3), (4, 8), (4, 16), (4, 32), (8, 32), (8, 64)].map { m, n in
          Kind(m: m, n: n, C: 256, architecture: architecture)
        } + [
          // The widths of a backbone of 2,048 channels that are not among them.
          Kind(m: 2, n: 3, C: 1024, architecture: architecture),
          Kind(m: 4, n: 16, C: 512, architecture: architecture),
          Kind(m: 3, n: 7, C: 33, architecture: architecture),
          Kind(m: 3, n: 7, C: 33, element: CK_CUDA_FLOAT32, architecture: architecture),
          Kind(m: 2, n: 3, C: 256, element: CK_CUDA_FLOAT32, architecture: architecture),
          Kind(m: 4, n: 32, C: 64, element: CK_CUDA_FLOAT32, architecture: architecture),
          Kind(m: 4, n: 16, C: 256, isDynamic: false, architecture: architecture),
        ]
      }
    }

    @Test(arguments: Kind.all) func kernelsCompileAndFit(kind: Kind) throws {
      var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
      var count: Int32 = 0
      let text = withConnection(kind) {
        ck_cuda_compile($0, kind.element, kind.architecture, kind.sharedBytes, &kernels, &count)
      }
      let report = try #require(text.map { String(cString: $0) }, "\(String(cString: ck_cuda_error()))")
      #expect(!report.contains("warning"), "\(report)")
      #expect(count == 8, "all fit, fused")
      try expectThatAllFit(kernels.prefix(Int(count)), report, sharedBytes: kind.sharedBytes)
    }

    @Test(arguments: [80, 90] as [Int32], [33, 128, 1000, 2048] as [Int64]) func normsCompileAndFit(
      architecture: Int32, width: Int64
    ) throws {
      for element in [CK_CUDA_FLOAT32, CK_CUDA_BFLOAT16] where width < 2048 || element == CK_CUDA_BFLOAT16 {
        var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
        var count: Int32 = 0
        let text = ck_cuda_compile_norm(width, element, architecture, 48 << 10, &kernels, &count)
        let report = try #require(text.map { String(cString: $0) }, "\(String(cString: ck_cuda_error()))")
        #expect(!report.contains("warning"), "\(report)")
        try expectThatAllFit(kernels.prefix(Int(count)), report, sharedBytes: 48 << 10)
      }
    }

    @Test func rowsBeyondRegistersAreRefused() {
      var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
      var count: Int32 = 0
      #expect(ck_cuda_compile_norm(2056, CK_CUDA_BFLOAT16, 90, 48 << 10, &kernels, &count) == nil)
      #expect(
        String(cString: ck_cuda_error()) == "rows of 2056 channels are too wide for the kernels that normalize them")
    }

    @Test(arguments: [80, 90] as [Int32], [CK_FLOAT32, CK_BFLOAT16, CK_INT8, CK_INT4]) func productsCompileAndFit(
      architecture: Int32, format: ck_weight_format
    ) throws {
      typealias Kinds = [(element: ck_cuda_element, rows: Int32)]
      let hopper: Kinds = [(CK_CUDA_BFLOAT16, 1), (CK_CUDA_BFLOAT16, 16), (CK_CUDA_FLOAT32, 16)]
      let ampere: Kinds = [(CK_CUDA_BFLOAT16, 16), (CK_CUDA_FLOAT32, 4)]
      for (element, rows) in architecture == 90 ? hopper : ampere {
        var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
        var count: Int32 = 0
        let sharedBytes: Int32 = architecture == 80 ? 163 << 10 : 227 << 10
        let text = ck_cuda_compile_product(format, element, rows, architecture, sharedBytes, &kernels, &count)
        let report = try #require(text.map { String(cString: $0) }, "\(String(cString: ck_cuda_error()))")
        #expect(!report.contains("warning"), "\(report)")
        #expect(count == 3)
        try expectThatAllFit(kernels.prefix(Int(count)), report, sharedBytes: sharedBytes, keepsNothingLocal: true)
        // A weight is read as fast as there are bytes on their way: two blocks of a multiprocessor for a few rows.
        guard rows < 16 else { continue }
        for kernel in kernels.prefix(3) {
          let usage = try #require(resources(of: String(cString: kernel.name), in: report))
          #expect(2 * usage.registers * Int(kernel.threads) <= 65_536)
          #expect(2 * (kernel.shared_bytes + 1024) <= sharedBytes)
        }
      }
    }

    @Test(arguments: [80, 90] as [Int32], [CK_FLOAT32, CK_BFLOAT16, CK_INT8]) func cachedAttentionCompilesAndFits(
      architecture: Int32, format: ck_weight_format
    ) throws {
      typealias Kinds = [(headSize: Int64, queries: Int32)]
      let usual: Kinds = [(128, 4), (128, 8)]
      let odd: Kinds = [(64, 2), (6, 4), (format == CK_FLOAT32 ? 100 : 256, 8)]
      for (headSize, queries) in architecture == 90 ? usual + odd : usual {
        let element = format == CK_FLOAT32 ? CK_CUDA_FLOAT32 : CK_CUDA_BFLOAT16
        var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
        var count: Int32 = 0
        let text = ck_cuda_compile_attention(
          headSize, format, element, queries, architecture, 163 << 10, &kernels, &count)
        let report = try #require(text.map { String(cString: $0) }, "\(String(cString: ck_cuda_error()))")
        #expect(!report.contains("warning"), "\(report)")
        try expectThatAllFit(kernels.prefix(Int(count)), report, sharedBytes: 163 << 10, keepsNothingLocal: true)
      }
    }

    @Test func stepsWithoutKernelsAreRefused() {
      var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
      var count: Int32 = 0
      #expect(ck_cuda_compile_product(CK_BFLOAT16, CK_CUDA_BFLOAT16, 17, 90, 227 << 10, &kernels, &count) == nil)
      #expect(String(cString: ck_cuda_error()) == "products of 17 rows have no kernel: expected 1 to 16")
      #expect(ck_cuda_compile_attention(7, CK_BFLOAT16, CK_CUDA_BFLOAT16, 4, 90, 227 << 10, &kernels, &count) == nil)
      #expect(String(cString: ck_cuda_error()) == "heads of 7 channels have no kernel over such a cache")
    }

    /// Every kernel is in the compiler's report, and needs no more than there is.
    private func expectThatAllFit(
      _ kernels: some Sequence<ck_cuda_kernel>, _ report: String, sharedBytes: Int32, keepsNothingLocal: Bool = false
    ) throws {
      for kernel in kernels {
        let name = String(cString: kernel.name)
        let usage = try #require(resources(of: name, in: report), "\(name) is not in the report")
        #expect(usage.spilledBytes == 0, "\(name)")
        #expect(!keepsNothingLocal || usage.localBytes == 0, "\(name)")
        #expect(usage.registers * Int(kernel.threads) <= 65_536, "\(name) uses \(usage.registers) registers")
        #expect(kernel.shared_bytes <= sharedBytes, "\(name)")
      }
    }

    @Test func statesBeyondSharedMemoryAreRefused() {
      let kind = Kind(m: 8, n: 64, C: 1024, architecture: 90)
      #expect(
        refusal(kind)
          == "a token's state of 64 slots of 1024 channels leaves too little of the GPU's 232448 bytes of shared memory"
      )
    }

    @Test func impossibleSizesAreRefused() {
      for (m, n, C) in [(0, 3, 4), (4, 3, 4), (2, 3, 0), (2, 1 << 40, 4), (2, 3, 1 << 40)] as [(Int64, Int64, Int64)] {
        #expect(
          refusal(Kind(m: m, n: n, C: C, architecture: 90))
            == "there are no kernels for a fraction rate of \(m) and \(n) slots of \(C) channels")
      }
    }

    private func refusal(_ kind: Kind) -> String {
      var kernels = [ck_cuda_kernel](repeating: ck_cuda_kernel(), count: 8)
      var count: Int32 = 0
      let report = withConnection(kind) {
        ck_cuda_compile($0, kind.element, kind.architecture, kind.sharedBytes, &kernels, &count)
      }
      return report == nil ? String(cString: ck_cuda_error()) : "no error"
    }

    /// A connection of this kind; its weights are never looked at.
    private func withConnection<R>(_ kind: Kind, _ body: (UnsafePointer<ck_connection>) -> R) -> R {
      let weights: [Float] = [0]
      return weights.withUnsafeBufferPointer { memory in
        let some = memory.baseAddress
        let map = kind.isDynamic ? some : nil
        var connection = ck_connection(
          fraction_rate: kind.m, slots: kind.n, slot_width: kind.C, epsilon: 1e-5, static_read_carry: some,
          static_write: some, dynamic_read_carry: map, dynamic_write: map, read_carry_scale: map, write_scale: map,
          gain: map,
          projections: nil)
        return body(&connection)
      }
    }

    private func resources(of name: String, in report: String) -> (registers: Int, spilledBytes: Int, localBytes: Int)?
    {
      let lines = report.split(separator: "\n")
      guard let start = lines.firstIndex(where: { $0.contains("Compiling entry function '\(name)'") }) else {
        return nil
      }
      let own = lines[(start + 1)...].prefix { !$0.contains("Compiling entry function") }
      func number(before word: String) -> Int? {
        own.lazy.compactMap { line in
          line.range(of: word).flatMap { Int(line[..<$0.lowerBound].split(separator: " ").last ?? "") }
        }.first
      }
      guard let registers = number(before: " registers"), let stores = number(before: " bytes spill stores"),
        let loads = number(before: " bytes spill loads"), let local = number(before: " bytes stack frame")
      else { return nil }
      return (registers, stores + loads, local)
    }
  }

  extension StringProtocol {
    /// The first position of `word`.
    fileprivate func range(of word: String) -> Range<Index>? {
      indices.lazy.compactMap { start in
        self[start...].hasPrefix(word) ? start..<index(start, offsetBy: word.count) : nil
      }.first
    }
  }
#endif
