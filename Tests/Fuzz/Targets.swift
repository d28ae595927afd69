import Foundation
import Wideband

/// All targets, with the library's function that reads each.
enum Targets {
  static func all(_ workspace: Workspace) -> [Target] {
    [
      safetensors(workspace), index(workspace), config(workspace), generation, tokenizer(workspace), template,
      recipe(workspace), plan,
      adapters(workspace), data(workspace), text(workspace), conversations(workspace), run(workspace), model(workspace),
      flags(workspace),
    ]
  }

  private static func safetensors(_ workspace: Workspace) -> Target {
    Target(
      name: "safetensors",
      seeds: {
        try ["wide/best", "quantized", "plain/best"].map { folder in
          let files = try workspace.files(folder)
          return files.filter { $0.key == "model.safetensors" || $0.key == "optimizer.safetensors" }
        }
      }, mutate: Target.mutateOneFile,
      read: { folder in
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() {
          let tensors = try SafetensorsFile(folder.appending(path: name)).tensors()
          // All data of an accepted file must be readable.
          for tensor in tensors.values { try withTorch { _ = tensor.to(.float32).sum() } }
        }
      })
  }

  private static func index(_ workspace: Workspace) -> Target {
    Target(
      name: "index", seeds: { [try workspace.files("shards", except: ["tokenizer.json"])] },
      mutate: { files, random in
        let name = random.once(in: 3) ? random.pick(files.keys.sorted()) : "model.safetensors.index.json"
        return Target.mutateOrRemove(name, of: files, &random)
      }, read: { _ = try ModelFolder($0).readTensors() })
  }

  private static func config(_ workspace: Workspace) -> Target {
    Target(
      name: "config",
      seeds: {
        let models = try FileManager.default.contentsOfDirectory(
          atPath: Fixtures.folder.appending(path: "models").path)
        let own = try models.map { try Data(contentsOf: Fixtures.folder.appending(path: "models/\($0)/config.json")) }
        return own.map { ["config.json": Array($0)] }
      }, mutate: Target.mutateOneFile,
      read: { folder in
        let configuration = try ModelConfiguration(file: folder.appending(path: "config.json"))
        try configuration.validate()
        let cost = ModelCost(configuration, contextLength: configuration.contextLength)
        _ = (cost.parameters, cost.operations)
      })
  }

  private static let template = Target(
    name: "template",
    seeds: {
      let folder = Fixtures.folder.appending(path: "jinja/templates")
      return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
        ["chat_template.jinja": Array(try Data(contentsOf: folder.appending(path: $0)))]
      }
    }, mutate: Target.mutateOneFile,
    read: { folder in
      let source = try Data(contentsOf: folder.appending(path: "chat_template.jinja"))
      let template = try ChatTemplate(String(decoding: source, as: UTF8.self), name: "chat_template.jinja")
      var call = Message(.assistant, nil, reasoning: "Hm.")
      call.toolCalls = [ToolCall(id: "abcdefghi", name: "f", arguments: .object(JSONObject()))]
      let tool = try JSONValue(parsing: Data(#"{"type": "function", "function": {"name": "f"}}"#.utf8), file: "tool")
      let messages = [
        Message(.system, "a"), Message(.user, " b\n"), call, Message(.tool, "7"), Message(.assistant, "c"),
      ]
      _ = try template.text(of: Conversation(messages, tools: [tool]), prompt: .direct)
    })

  private static let generation = Target(
    name: "generation",
    seeds: {
      let text =
        #"{"eos_token_id": [1, 2], "do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1,"#
      return [["generation_config.json": Array((text + #" "repetition_penalty": 1.1, "x": [1]}"#).utf8)]]
    }, mutate: Target.mutateOneFile, read: { _ = try GenerationConfiguration(folder: $0).sampling() })

  private static func tokenizer(_ workspace: Workspace) -> Target {
    Target(
      name: "tokenizer",
      seeds: {
        let extra = Fixtures.folder.appending(path: "tokenizers/extra")
        let names = try FileManager.default.contentsOfDirectory(atPath: extra.path).sorted()
        let files = names.map { extra.appending(path: "\($0)/tokenizer.json") }
        let small = try files.compactMap { try? Data(contentsOf: $0) }.filter { $0.count < 50_000 }
        return small.map { ["tokenizer.json": Array($0)] } + [try workspace.files("chat-tokenizer")]
      }, mutate: Target.mutateOneFile,
      read: { folder in
        let tokenizer = try Tokenizer(contentsOf: folder.appending(path: "tokenizer.json"))
        for text in ["", "In the beginning é e\u{301} 123 <|im_start|> \u{0}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"] {
          let ids = try tokenizer.encode(text, addingSpecialTokens: true)
          _ = try tokenizer.decode(ids)
        }
      })
  }

  private static func recipe(_ workspace: Workspace) -> Target {
    Target(
      name: "recipe",
      seeds: {
        let presets = Fixtures.folder.appending(path: "../../configs").standardizedFileURL
        let names = try FileManager.default.contentsOfDirectory(atPath: presets.path).filter { $0.hasSuffix(".yaml") }
        let own = try
          (names.map { presets.appending(path: $0) }
          + ["wide.yaml", "wide/recipe.yaml"].map {
            workspace.folder.appending(path: $0)
          }).map { try Data(contentsOf: $0) }
        return own.map { ["recipe.yaml": Array($0), "set.txt": Array("training.steps=3\nsample.prompt=x".utf8)] }
      }, mutate: Target.mutateOneFile,
      read: { folder in
        let text = try Data(contentsOf: folder.appending(path: "recipe.yaml"))
        let changes = try Data(contentsOf: folder.appending(path: "set.txt"))
        let lines = String(decoding: changes, as: UTF8.self).split(separator: "\n").map(String.init)
        let recipe = try Recipe(
          yaml: String(decoding: text, as: UTF8.self), name: "recipe.yaml", changes: lines, vocabularySize: 320)
        // An accepted recipe must be the same after writing and reading.
        let again = try Recipe(yaml: recipe.yaml(), name: "written")
        guard again == recipe else { throw Fault("the written recipe differs") }
        for step in [1, recipe.training.steps / 2, recipe.training.steps] {
          let factor = recipe.schedule.factor(at: step, of: recipe.training.steps)
          guard factor.isFinite else { throw Fault("a rate is not finite") }
        }
      })
  }

  private static let plan = Target(
    name: "plan",
    seeds: {
      let plans = Fixtures.folder.appending(path: "../../configs/studies").standardizedFileURL
      return try FileManager.default.contentsOfDirectory(atPath: plans.path).sorted().map {
        ["plan.yaml": Array(try Data(contentsOf: plans.appending(path: $0)))]
      }
    }, mutate: Target.mutateOneFile,
    read: { folder in _ = try StudyPlan(contentsOf: folder.appending(path: "plan.yaml").path) })

  private static func adapters(_ workspace: Workspace) -> Target {
    Target(
      name: "adapters",
      seeds: { [try workspace.files("adapters/best", except: ["tokenizer.json", "optimizer.safetensors"])] },
      mutate: Target.mutateOneFile,
      read: { folder in
        let stored = try ModelSource(ModelFolder(folder))
        _ = try LoadedModel.model(stored.folder.url)
      })
  }

  private static func data(_ workspace: Workspace) -> Target {
    Target(
      name: "data",
      seeds: { try ["tokens", "chat"].map { try workspace.files($0, except: ["tokenizer.json"]) } },
      mutate: Target.mutateOneFile,
      read: { folder in
        for split in [TokenDataset.Split.train, .validation] {
          let dataset = try TokenDataset(folder: folder.path, split: split)
          _ = try dataset.windowCount(length: 16)
          for step in [0, 1, 1_000_000] { _ = try dataset.batch(step: step, rows: 2, length: 16, seed: 1) }
          for batch in try dataset.validationBatches(rows: 2, length: 16, limit: 256) { _ = batch }
        }
      })
  }

  private static func run(_ workspace: Workspace) -> Target {
    Target(
      name: "run",
      seeds: {
        try ["wide", "plain"].map {
          try workspace.files($0, except: ["tokenizer.json", "model.safetensors", "log.txt"])
        }
      },
      mutate: { files, random in
        let small = files.keys.filter { !$0.hasSuffix(".safetensors") && !$0.contains("tfevents") }.sorted()
        return Target.mutateOrRemove(random.pick(small), of: files, &random)
      },
      read: { folder in
        let directory = try RunDirectory(resuming: folder.path)
        _ = try Recipe(yaml: Recipe.text(of: directory.recipePath), name: "recipe.yaml")
        for checkpoint in try directory.checkpoints() { _ = try TrainingCheckpoint(checkpoint) }
        let lines = try MetricsFile.read(directory.metricsPath)
        var run = Report.Run(name: "run")
        run.trainingLoss = lines.compactMap { line in
          line.values["train/next_token"].map { (line.step, $0) }
        }
        run.validationBitsPerByte = run.trainingLoss
        _ = Report(title: "runs", runs: [run]).html()
      })
  }

  private static func model(_ workspace: Workspace) -> Target {
    Target(
      name: "model",
      seeds: {
        try ["wide/best", "plain/best", "quantized"].map { try workspace.files($0, except: ["optimizer.safetensors"]) }
      }, mutate: Target.mutateOneFile,
      read: { folder in
        let loaded = try LoadedModel(folder)
        var options = GenerationOptions()
        options.maximumTokens = 3
        options.seed = 1
        options.sampling = try loaded.sampling
        _ = try loaded.generate("In the", options: options)
      })
  }
}
