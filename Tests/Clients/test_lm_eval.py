"""`lm_eval` as a client, with the server's tokenizer and tasks of local files: no hub is asked for anything."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from openai import OpenAI

LIKELIHOODS = """
task: verses
dataset_path: json
dataset_kwargs: {data_files: {test: verses.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""

TEXTS = """
task: continuations
dataset_path: json
dataset_kwargs: {data_files: {test: verses.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{expected}}"
generation_kwargs: {until: ["e"], max_gen_toks: 12, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""

VERSES = {
    "In the beginning God created": [" the heaven", " the earth", " whales"],
    "And the earth was": [" without form", " void", " darkness"],
    "And God said,": [" Let there be light", " Let there be lights", " Be fruitful", " Behold"],
    "And the evening and": [" the morning", " it was so"],
}


def post(server, path, body):
    client = OpenAI(base_url=server.url, api_key="none", max_retries=0)
    return client.post(path, body=body, cast_to=object)


def tokens(server, text):
    return post(server, "/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]


def log_likelihood(server, question, answer):
    """The logarithm of the answer's probability, and whether each of its tokens is the most probable one."""
    body = {"prompt": tokens(server, question + answer), "echo": True, "logprobs": 1, "max_tokens": 0}
    report = post(server, "/v1/completions", body)["choices"][0]["logprobs"]
    start = len(tokens(server, question))
    logprobs, tops = report["token_logprobs"][start:], report["top_logprobs"][start:]
    return sum(logprobs), all(logprob == max(top.values()) for logprob, top in zip(logprobs, tops))


def evaluate(folder, model, arguments, tasks, *options):
    """The results of a run of lm_eval, and its samples of each task."""
    command = [Path(sysconfig.get_path("scripts")) / "lm_eval", "run", "--model", model, "--model_args", arguments,
               "--tasks", tasks, "--include_path", folder, "--output_path", folder / "out", "--log_samples"]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    run = subprocess.run([*command, *options], cwd=folder, env=os.environ | offline, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (results,) = (folder / "out").rglob("results_*.json")
    samples = {}
    for path in (folder / "out").rglob("samples_*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        samples[path.name.split("_")[1]] = sorted(lines, key=lambda sample: sample["doc_id"])
    return json.loads(results.read_text())["results"], samples


@pytest.fixture
def folder(plain, tmp_path):
    """A folder with the tasks. The expected answers of every other question are those of the server."""
    (tmp_path / "verses.yaml").write_text(LIKELIHOODS)
    (tmp_path / "continuations.yaml").write_text(TEXTS)
    with open(tmp_path / "verses.jsonl", "w") as file:
        for number, (question, choices) in enumerate(VERSES.items()):
            body = {"prompt": question, "max_tokens": 12, "temperature": 0, "stop": ["e"]}
            text = post(plain, "/v1/completions", body)["choices"][0]["text"] + "x" * (number % 2)
            json.dump({"question": question, "choices": choices, "answer": 1, "expected": text}, file)
            file.write("\n")
    return tmp_path


@pytest.mark.parametrize("arguments", ["", ",num_concurrent=4,tokenized_requests=False"])
def test_local_completions(plain, folder, arguments):
    arguments = f"model=model,base_url={plain.url}/v1/completions{arguments}"
    results, samples = evaluate(folder, "local-completions", arguments, "verses,continuations", "--batch_size", "2")
    right = 0
    for sample, (question, choices) in zip(samples["verses"], VERSES.items()):
        expected = [log_likelihood(plain, question, choice) for choice in choices]
        seen = [(float(value), is_greedy in (True, "True")) for ((value, is_greedy),) in sample["resps"]]
        assert [value for value, _ in seen] == pytest.approx([value for value, _ in expected])
        assert [is_greedy for _, is_greedy in seen] == [is_greedy for _, is_greedy in expected]
        right += max(range(len(choices)), key=lambda choice: expected[choice][0]) == 1
    assert results["verses"]["acc,none"] == right / len(VERSES)
    assert results["continuations"]["exact_match,none"] == 0.5


def test_local_chat_completions(plain, folder):
    arguments = f"model=model,base_url={plain.url}/v1/chat/completions"
    _, samples = evaluate(folder, "local-chat-completions", arguments, "continuations", "--apply_chat_template")
    for sample, question in zip(samples["continuations"], VERSES):
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 12, "temperature": 0, "stop": ["e"]}
        answer = post(plain, "/v1/chat/completions", body)["choices"][0]["message"]["content"]
        assert sample["resps"] == [[answer]]
