"""The prompts in onnxruntime-genai's own loop. Runs in its environment; stdin and stdout as in optimum_child."""

import json
import os
import sys
import time

import onnxruntime_genai as og


def main() -> None:
    answer = os.dup(1)
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    config = og.Config(asked["folder"])
    threads = {"intra_op_num_threads": asked["threads"]}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": threads}}}))
    model = og.Model(config)
    tokenizer = og.Tokenizer(model)
    texts, seconds, tokens = [], [], []
    for prompt in asked["prompts"]:
        chat = json.dumps([{"role": "user", "content": prompt}])
        ids = tokenizer.encode(tokenizer.apply_chat_template(chat, add_generation_prompt=True))
        parameters = og.GeneratorParams(model)
        parameters.set_search_options(max_length=len(ids) + asked["new"], do_sample=False)
        start = time.perf_counter()
        generator = og.Generator(model, parameters)
        generator.append_tokens(ids)
        while not generator.is_done():
            generator.generate_next_token()
        seconds.append(time.perf_counter() - start)
        new = generator.get_sequence(0)[len(ids) :]
        tokens.append(len(new))
        texts.append(tokenizer.decode(new))
    with os.fdopen(answer, "w") as out:
        json.dump({"texts": texts, "seconds": seconds, "tokens": tokens}, out)


if __name__ == "__main__":
    main()
