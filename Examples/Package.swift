// swift-tools-version: 6.2
import PackageDescription

// Depends on Wideband as any package would. Outside this repository the dependency is, from the version that you use,
//
//   .package(url: "https://github.com/OWNER/wideband", from: "0.1.0")
//
// and libtorch is found through pkg-config: run scripts/setup in a checkout of Wideband, and build with
// PKG_CONFIG_PATH=CHECKOUT/.torch swift build
let package = Package(
  name: "Examples",
  platforms: [.macOS(.v14)],
  products: [
    .executable(name: "TinyTraining", targets: ["TinyTraining"]),
    .executable(name: "Generate", targets: ["Generate"]),
    .executable(name: "WideNetwork", targets: ["WideNetwork"]),
  ],
  dependencies: [.package(name: "wideband", path: "..")],
  targets: [
    .executableTarget(name: "TinyTraining", dependencies: [.product(name: "Wideband", package: "wideband")]),
    .executableTarget(name: "Generate", dependencies: [.product(name: "Wideband", package: "wideband")]),
    .executableTarget(name: "WideNetwork", dependencies: [.product(name: "Wideband", package: "wideband")]),
  ]
)
