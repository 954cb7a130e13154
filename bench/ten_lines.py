"""What somebody writes without minireason: the first lines of a script over llama-cpp-python."""

import sys

from llama_cpp import Llama

from minireason.engine.devices import leave_out_amx

leave_out_amx()  # what llama.cpp repacks for AMX crashes (llama.cpp #20824)
_, path, threads, question = sys.argv
model = Llama(path, n_threads=int(threads), n_threads_batch=int(threads), verbose=False)
messages = [{"role": "user", "content": question}]
for chunk in model.create_chat_completion(messages, stream=True):
    print(chunk["choices"][0]["delta"].get("content") or "", end="", flush=True)
