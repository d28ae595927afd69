// swift-tools-version: 6.2
import Foundation
import PackageDescription

// `scripts/setup` installs libtorch into `.torch` next to this manifest, and its headers, libraries and run path are
// named here. Without it (this package as somebody's dependency) pkg-config finds a library named "libtorch".
let isPrivateTorch = FileManager.default.fileExists(atPath: Context.packageDirectory + "/.torch/torch/lib")
let torchFolder = Context.packageDirectory + "/.torch/torch"

let torchDependencies: [Target.Dependency] = isPrivateTorch ? [] : ["WidebandLibtorch"]
let torchHeaders: [CXXSetting] =
  isPrivateTorch
  ? [
    .headerSearchPath("../../.torch/torch/include"),
    .headerSearchPath("../../.torch/torch/include/torch/csrc/api/include"),
  ] : []
// The headers of the operators that a file uses alone: all of them take longer to read than the rest of a file.
// Gloo is in libtorch, and its header declares nothing without the second definition.
let torchDefines: [CXXSetting] = [.define("AT_PER_OPERATOR_HEADERS"), .define("USE_C10D_GLOO")]
let torchLibraries: [LinkerSetting] =
  isPrivateTorch
  ? [
    .unsafeFlags(["-L\(torchFolder)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(torchFolder)/lib"]),
    .linkedLibrary("torch_cpu"),
    .linkedLibrary("c10"),
  ] : []

// In this checkout one optimized build serves the command and the tests, which import modules with @testable.
let swift: [SwiftSetting] =
  [.swiftLanguageMode(.v6)]
  + (isPrivateTorch ? [.unsafeFlags(["-enable-testing"], .when(configuration: .release))] : [])

/// A target of Swift. The folder is the name without the package's: module names must not collide with those of other
/// packages.
func module(_ folder: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .target(
    name: "Wideband\(folder)", dependencies: dependencies, path: "Sources/\(folder)", exclude: exclude,
    swiftSettings: swift)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: swift)
}

/// Targets of this package by their folders.
func wideband(_ folders: String...) -> [Target.Dependency] { folders.map { .target(name: "Wideband\($0)") } }

let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let yams: Target.Dependency = "Yams"
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let http: [Target.Dependency] = [
  .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
  .product(name: "Hummingbird", package: "hummingbird"),
  .product(name: "Logging", package: "swift-log"),
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
  .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
]

let package = Package(
  name: "wideband",
  platforms: [.macOS(.v14)],
  products: [
    .library(name: "Wideband", targets: ["Wideband"]),
    .executable(name: "wideband", targets: ["WidebandExecutable"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.0.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.28.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.0.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.0.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    .systemLibrary(
      name: "WidebandCPCRE2", path: "Sources/CPCRE2", pkgConfig: "libpcre2-8",
      providers: [.apt(["libpcre2-dev"]), .brew(["pcre2"])]),
    .systemLibrary(
      name: "WidebandCZlib", path: "Sources/CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "WidebandCKernels", path: "Sources/CKernels", cxxSettings: [.headerSearchPath(".")]),
    .target(
      name: "WidebandCKernelsCUDA", dependencies: wideband("CKernels"), path: "Sources/CKernelsCUDA",
      exclude: ["device"]),
    .target(
      name: "WidebandCTorch", dependencies: wideband("CKernels", "CKernelsCUDA") + torchDependencies,
      path: "Sources/CTorch",
      cxxSettings: [.headerSearchPath("."), .headerSearchPath("Distributed/gloo-declarations")] + torchHeaders
        + torchDefines,
      linkerSettings: torchLibraries),
    module("CheckedInput", [collections]),
    module("Jinja", wideband("CheckedInput") + [collections]),
    module("StructuredOutput", wideband("CheckedInput")),
    module("Torch", wideband("CTorch", "CheckedInput") + [collections]),
    module("Distributed", wideband("Torch", "CTorch", "CheckedInput")),
    module("VirtualWidth", wideband("Torch")),
    module("Checkpoint", wideband("Torch", "CheckedInput") + [collections]),
    module("Tokenization", wideband("CPCRE2", "CheckedInput", "Jinja") + [heap]),
    module("LanguageModel", wideband("VirtualWidth", "Checkpoint", "Torch", "CheckedInput")),
    module("Decoding", wideband("LanguageModel", "Checkpoint", "Tokenization", "Torch", "CheckedInput")),
    module(
      "Serving",
      wideband("Decoding", "Tokenization", "StructuredOutput", "LanguageModel", "Torch", "CheckedInput")),
    .target(
      name: "WidebandServer",
      dependencies: wideband("Serving", "StructuredOutput", "Decoding", "Tokenization", "CheckedInput") + http,
      path: "Sources/Server",
      resources: [
        "index.html", "style.css", "chart.js", "chat.js", "engine.js", "markdown.js", "settings.js", "stream.js",
        "dashboard.html", "dashboard.css", "dashboard.js", "curves.js",
      ]
      .map { .embedInCode("Page/\($0)") }, swiftSettings: swift),
    module("Verification", wideband("Decoding", "LanguageModel", "Checkpoint", "Torch", "CheckedInput")),
    module("Data", wideband("Checkpoint", "Tokenization", "Torch", "CheckedInput", "CZlib")),
    module(
      "Training",
      wideband("Data", "Distributed", "LanguageModel", "VirtualWidth", "Checkpoint", "Torch", "CheckedInput")
        + [collections, yams, protobuf],
      exclude: ["Logging/Generated/TensorBoardEvent.proto"]),
    module("Reporting", wideband("CheckedInput")),
    module("Study", wideband("Training", "LanguageModel", "Reporting", "Checkpoint", "CheckedInput")),
    .target(
      name: "Wideband",
      dependencies: wideband(
        "CheckedInput", "Torch", "Distributed", "VirtualWidth", "Checkpoint", "Tokenization", "LanguageModel",
        "Decoding", "Serving", "Verification", "Data", "Training", "Reporting", "Study"),
      path: "Sources/Wideband", swiftSettings: swift),
    module("CLI", ["Wideband"] + wideband("Server", "Serving", "Distributed", "CheckedInput") + [arguments, signals]),
    .executableTarget(
      name: "WidebandExecutable", dependencies: wideband("CLI"), path: "Sources/Executable", swiftSettings: swift),
    .target(
      name: "TestSupport", dependencies: wideband("Data", "LanguageModel", "Checkpoint", "CheckedInput", "Torch"),
      path: "Tests/TestSupport", swiftSettings: swift),
    .executableTarget(
      name: "Fuzz", dependencies: wideband("CLI", "CheckedInput") + ["Wideband", arguments],
      path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: swift),
    .target(
      name: "CUDAEmulation", dependencies: wideband("CKernels"), path: "Tests/CUDAEmulation",
      cxxSettings: [.headerSearchPath("../../Sources/CKernelsCUDA")]),
    .target(
      name: "KernelInternals", dependencies: wideband("CKernels"), path: "Tests/KernelInternals",
      cxxSettings: [.headerSearchPath("../../Sources/CKernels")]),
    tests("CheckedInputTests", wideband("CheckedInput") + ["TestSupport"]),
    tests("JinjaTests", wideband("Jinja") + ["TestSupport"]),
    tests("StructuredOutputTests", wideband("StructuredOutput", "Tokenization", "CheckedInput") + ["TestSupport"]),
    tests("TorchTests", wideband("Torch") + ["TestSupport"]),
    tests(
      "CKernelsTests",
      wideband("CKernels", "CKernelsCUDA", "Torch") + ["CUDAEmulation", "KernelInternals", "TestSupport"]),
    tests("DistributedTests", wideband("Distributed", "Torch", "CheckedInput")),
    tests("VirtualWidthTests", wideband("VirtualWidth") + ["TestSupport"]),
    tests("CheckpointTests", wideband("Checkpoint") + ["TestSupport"]),
    tests("TokenizationTests", wideband("Tokenization") + ["TestSupport"]),
    tests("LanguageModelTests", wideband("LanguageModel") + ["TestSupport"]),
    tests("DecodingTests", wideband("Decoding", "Verification") + ["TestSupport"]),
    tests("ServingTests", wideband("Serving") + ["TestSupport"]),
    tests("ServerTests", wideband("Server", "Serving", "Decoding") + ["TestSupport"]),
    tests("DataTests", wideband("Data", "Tokenization", "Torch") + ["TestSupport"]),
    tests("TrainingTests", wideband("Training", "Distributed", "Data", "Reporting") + ["TestSupport"]),
    tests("StudyTests", wideband("Study", "Data", "CheckedInput") + ["Wideband", "TestSupport"]),
    tests("WidebandTests", ["WidebandExecutable", "TestSupport"]),
  ]
    + (isPrivateTorch
      ? [] : [.systemLibrary(name: "WidebandLibtorch", path: "Sources/Libtorch", pkgConfig: "libtorch")]),
  cxxLanguageStandard: .cxx17
)
