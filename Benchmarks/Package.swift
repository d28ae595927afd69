// swift-tools-version: 6.2
import PackageDescription

// Apart from the library, so that nobody who builds on it has to build these.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v14)],
  products: [.executable(name: "KernelBenchmark", targets: ["KernelBenchmark"])],
  dependencies: [
    .package(name: "wideband", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
  ],
  targets: [
    .executableTarget(
      name: "KernelBenchmark",
      dependencies: [
        .product(name: "Wideband", package: "wideband"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)])
  ]
)
