"""Replies from a server that speaks OpenAI's protocol: vLLM, SGLang, llama-server, ours, others."""
