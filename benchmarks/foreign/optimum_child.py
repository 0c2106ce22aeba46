"""The prompts in Optimum's own runtime: ORTModelForCausalLM with transformers' generate. Runs in its environment.

stdin: {"folder", "prompts", "new", "threads"}; stdout: {"texts", "seconds", "tokens"}.
"""

import json
import os
import sys
import time

import onnxruntime
from optimum.onnxruntime import ORTModelForCausalLM
from transformers import AutoTokenizer


def main() -> None:
    answer = os.dup(1)
    os.dup2(2, 1)
    asked = json.load(sys.stdin)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = asked["threads"]
    model = ORTModelForCausalLM.from_pretrained(asked["folder"], session_options=options)
    tokenizer = AutoTokenizer.from_pretrained(asked["folder"])
    texts, seconds, tokens = [], [], []
    for prompt in asked["prompts"]:
        chat = [{"role": "user", "content": prompt}]
        given = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        start = time.perf_counter()
        read = {name: given[name] for name in ("input_ids", "attention_mask")}
        made = model.generate(**read, max_new_tokens=asked["new"], do_sample=False)
        seconds.append(time.perf_counter() - start)
        new = made[0, given["input_ids"].shape[1] :]
        tokens.append(len(new))
        texts.append(tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    with os.fdopen(answer, "w") as out:
        json.dump({"texts": texts, "seconds": seconds, "tokens": tokens}, out)


if __name__ == "__main__":
    main()
