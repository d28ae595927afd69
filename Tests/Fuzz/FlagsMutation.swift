/// Mutations of command lines, which distinguish flags from values, and kinds of values.
enum FlagsMutation {
  /// The arguments as bytes, each terminated by a zero byte.
  static func bytes(_ arguments: [String]) -> [UInt8] { arguments.flatMap { Array($0.utf8) + [0] } }

  /// The arguments that `bytes` encode.
  static func arguments(_ bytes: [UInt8]) -> [String] {
    bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) }
  }

  /// A command line with one to three mutations. No argument is an absolute path or in a home folder, so that commands
  /// write only to the current folder.
  static func mutated(_ line: [String], _ random: inout Randomness) -> [String] {
    var line = line
    for _ in 0...(random.once(in: 2) ? 0 : random.below(3)) { change(&line, &random) }
    return line.map(relative)
  }

  private static func change(_ line: inout [String], _ random: inout Randomness) {
    // Mutate the command's name less often than its arguments.
    let index = random.once(in: 12) || line.count < 3 ? random.below(line.count) : 1 + random.below(line.count - 1)
    switch random.below(16) {
    case 0: if line.count > 1 { line.remove(at: index) }
    case 1: line.insert(line[index], at: random.below(line.count + 1))
    case 2: line.swapAt(index, random.below(line.count))
    case 3: line.insert(random.pick(FlagValues.flags), at: index)
    case 4: line += [random.pick(FlagValues.flags), FlagValues.any(&random)]
    case 5: line += ["--set", FlagValues.setting(&random)]
    case 6:
      var bytes = Array(line[index].utf8)
      ByteMutation.apply(&bytes, &random)
      line[index] = String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
    case 7: if index > 0 { line.replaceSubrange((index - 1)...index, with: [line[index - 1] + "=" + line[index]]) }
    default:
      // Replace a value, usually by one of its kind.
      let values = line.indices.dropFirst().filter { !line[$0].hasPrefix("-") }
      guard !values.isEmpty else { return line.append(FlagValues.any(&random)) }
      let place = random.pick(Array(values))
      line[place] = FlagValues.replacement(for: line[place], of: line[place - 1], &random)
    }
    if line.isEmpty { line = ["info"] }
  }

  /// The argument with all paths in it changed to paths inside the current folder.
  private static func relative(_ argument: String) -> String {
    let marks = Set("='\"{}[](), :\n\t")
    var result: [Character] = []
    var name: [Character] = []
    var depth = 0
    func endName(before character: Character?) {
      if result.last.map(marks.contains) ?? true { while name.first == "~" { name.removeFirst() } }
      if name == [".", "."] {
        depth -= 1
        if depth < 0 { (name, depth) = (["."], 0) }
      } else if !name.isEmpty, name != ["."] {
        depth += 1
      }
      result += name
      name = []
      // A slash at the beginning would lead to the root.
      if character == "/", result.last.map(marks.contains) ?? true { return }
      if let character { result.append(character) }
      if character.map(marks.contains) ?? true { depth = 0 }
    }
    for character in argument {
      if character == "/" || marks.contains(character) { endName(before: character) } else { name.append(character) }
    }
    endName(before: nil)
    return String(result)
  }

  /// Lines that succeed in the workspace.
  static let lines: [[String]] = [
    "tokenizer train --size 300 --output out text.txt", "tokenizer train --chat --size 280 --output out chat.jsonl",
    "tokenizer encode --tokenizer tokenizer Beginning", "tokenizer decode --tokenizer chat-tokenizer 1 2 300",
    "data prepare --tokenizer tokenizer --output out --validation-fraction 0.2 --seed 3 text.txt",
    "data prepare --tokenizer chat-tokenizer --output out --validation-fraction 0.3 chat.jsonl",
    "train --recipe wide.yaml --data tokens --output out --set training.steps=1 --threads 1",
    "train --recipe plain.yaml --data tokens --from plain/best --output out --set model=null "
      + "--set lora={rank:2,alpha:4,targets:[attention]}",
    "train --resume --output wide --dashboard 0",
    "evaluate --model wide/best --data tokens --length 32 --rows 2 --tokens 128 --json",
    "evaluate --model plain/best --data tokens --cycle 1,2 --decoding-layers 1 --encoding-layers 0 --gate select "
      + "--untuned plain/best --tokens 128",
    "evaluate --model plain/best --data chat --tokens 64 --quantize int8 --threads 2 --device cpu",
    "generate --model wide/best --prompt God --max-tokens 4 --temperature 0.7 --top-k 5 --top-p 0.9 --min-p 0.01 "
      + "--repetition-penalty 1.1 --seed 1 --stop x",
    "generate --model plain/best --prompt God --max-tokens 5 --cycle 2 --decoding-layers 1 --gate select --stats",
    "generate --model adapters/best --prompt-file text.txt --max-tokens 3 --no-cache --dtype bfloat16",
    "generate --model quantized --batch batch.jsonl --max-tokens 3 --key-value-cache int8 --seed 2",
    "generate --model plain/best --prompt God --max-tokens 4 --draft direct --cycle 2 --decoding-layers 1",
    "chat --model plain/best --system Brief --no-thinking --max-tokens 4 --top-k 0 --kernels composed",
    "info wide/best --length 10", "info wide.yaml --set model.hidden_size=32 --set model.virtual_width.slots=8",
    "info --machine", "info config.json", "info adapters/best", "verify verified --kernels composed",
    "verify verified verified --device cpu",
    "init --config config.json --tokenizer tokenizer --output out --dtype float16 --seed 5 --shard-size 20KB",
    "convert wide/best out --dtype float16 --shard-size 10KB", "convert adapters/best out", "convert quantized out",
    "quantize --model shards --output out --scheme int4 --shard-size 1MB",
    "plan --recipe wide.yaml --nodes 1 --gpus 1 --bandwidth 1Gb/s --device cpu --peak 50GFLOP/s --memory 1GB "
      + "--utilization 0.3 --line-efficiency 0.9",
    "report plain=plain wide=wide --output out.html --prompt God --tokens 3",
    "bench step --config config.json --batch 2 --length 16 --steps 1 --activation-checkpointing --json",
    "bench connections --hidden-size 16 --tokens 8 --widths 2:3,4:8 --json --kernels fused",
    "bench decode --config config.json --prompt 4 --tokens 4 --cycle 2 --decoding-layers 1 --batch 2 --unaligned --runs 1",
    "bench decode --model quantized --prompt 4 --tokens 4 --dtype bfloat16 --quantize int8 --json",
  ].map { $0.split(separator: " ").map(String.init) }
}
