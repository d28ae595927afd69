// swift-tools-version: 6.2
import Foundation
import PackageDescription

// After `scripts/setup` libtorch lies in `.torch` beside this manifest, and its headers, libraries and run path are
// named here. Without it (this package as somebody's dependency) pkg-config finds a library named "libtorch".
let isPrivateTorch = FileManager.default.fileExists(atPath: Context.packageDirectory + "/.torch/torch/lib")
let torchFolder = Context.packageDirectory + "/.torch/torch"

let torchDependencies: [Target.Dependency] = isPrivateTorch ? [] : ["Libtorch"]
let torchHeaders: [CXXSetting] =
  isPrivateTorch
  ? [
    .headerSearchPath("../../.torch/torch/include"),
    .headerSearchPath("../../.torch/torch/include/torch/csrc/api/include"),
  ] : []
// The headers of the operators that a file uses alone: all of them take longer to read than the rest of a file.
let torchDefines: [CXXSetting] = [.define("AT_PER_OPERATOR_HEADERS")]
let torchLibraries: [LinkerSetting] =
  isPrivateTorch
  ? [
    .unsafeFlags(["-L\(torchFolder)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(torchFolder)/lib"]),
    .linkedLibrary("torch_cpu"),
    .linkedLibrary("c10"),
  ] : []

// In this checkout one optimised build serves the command and the tests, which import modules with @testable.
let swift: [SwiftSetting] =
  [.swiftLanguageMode(.v6)]
  + (isPrivateTorch ? [.unsafeFlags(["-enable-testing"], .when(configuration: .release))] : [])

func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swift)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: swift)
}

let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let yams: Target.Dependency = "Yams"
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "wideband",
  platforms: [.macOS(.v14)],
  products: [
    .library(
      name: "Wideband",
      targets: ["Torch", "VirtualWidth", "Checkpoint", "Tokenization", "LanguageModel", "Decoding", "Training"]),
    .executable(name: "wideband", targets: ["wideband"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.28.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"]), .brew(["pcre2"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "CKernels", exclude: ["CUDA/Source"]),
    .target(
      name: "CTorch", dependencies: ["CKernels"] + torchDependencies, cxxSettings: torchHeaders + torchDefines,
      linkerSettings: torchLibraries),
    room("CheckedInput", []),
    room("Torch", ["CTorch", "CheckedInput", collections]),
    room("VirtualWidth", ["Torch"]),
    room("Checkpoint", ["Torch", "CheckedInput"]),
    room("Tokenization", ["CPCRE2", "CheckedInput"]),
    room("LanguageModel", ["VirtualWidth", "Checkpoint", "Torch", "CheckedInput"]),
    room("Decoding", ["LanguageModel", "Checkpoint", "Tokenization", "Torch", "CheckedInput"]),
    .target(
      name: "Training",
      dependencies: [
        "LanguageModel", "VirtualWidth", "Checkpoint", "Torch", "CheckedInput", "CZlib", collections, yams, protobuf,
      ],
      exclude: ["Generated/TensorBoardEvent.proto"], swiftSettings: swift),
    room(
      "WidebandCLI",
      [
        "Training", "Decoding", "LanguageModel", "VirtualWidth", "Checkpoint", "Tokenization", "Torch", "CheckedInput",
        arguments,
      ]),
    .executableTarget(name: "wideband", dependencies: ["WidebandCLI"], swiftSettings: swift),
    .target(
      name: "TestSupport", dependencies: ["LanguageModel", "Checkpoint", "CheckedInput", "Torch"],
      path: "Tests/TestSupport",
      swiftSettings: swift),
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "WidebandCLI", "Training", "Decoding", "LanguageModel", "Checkpoint", "Tokenization", "Torch", "CheckedInput",
        arguments,
      ],
      path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: swift),
    .target(name: "CUDAEmulation", dependencies: ["CKernels"], path: "Tests/CUDAEmulation"),
    .target(
      name: "KernelInternals", dependencies: ["CKernels"], path: "Tests/KernelInternals",
      cxxSettings: [.headerSearchPath("../../Sources/CKernels")]),
    tests("CheckedInputTests", ["CheckedInput"]),
    tests("TorchTests", ["Torch", "TestSupport"]),
    tests("CKernelsTests", ["CKernels", "CUDAEmulation", "KernelInternals", "Torch", "TestSupport"]),
    tests("VirtualWidthTests", ["VirtualWidth", "TestSupport"]),
    tests("CheckpointTests", ["Checkpoint", "TestSupport"]),
    tests("TokenizationTests", ["Tokenization"]),
    tests("LanguageModelTests", ["LanguageModel", "TestSupport"]),
    tests("DecodingTests", ["Decoding", "TestSupport"]),
    tests("TrainingTests", ["Training", "TestSupport"]),
    tests("WidebandTests", ["wideband", "TestSupport"]),
  ]
    + (isPrivateTorch ? [] : [.systemLibrary(name: "Libtorch", pkgConfig: "libtorch")]),
  cxxLanguageStandard: .cxx17
)
