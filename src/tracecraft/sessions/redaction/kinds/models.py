"""Keys of models, of what agents search with, and of what watches them."""

from __future__ import annotations

from tracecraft.sessions.redaction.rule import begun, own

MODELS = (
    own("anthropic-api-key", "sk-ant-api", r"sk-ant-api[0-9]{2}-[A-Za-z0-9_-]{80,120}"),
    own("anthropic-admin-key", "sk-ant-admin", r"sk-ant-admin[0-9]{2}-[A-Za-z0-9_-]{80,120}"),
    own("anthropic-oauth-token", "sk-ant-oat sk-ant-ort", r"sk-ant-o[ar]t[0-9]{2}-[A-Za-z0-9_-]{80,120}"),
    own("anthropic-session-key", "sk-ant-sid", r"sk-ant-sid[0-9]{2}-[A-Za-z0-9_-]{80,160}"),
    own("openai-project-key", "sk-proj-", r"sk-proj-[A-Za-z0-9_-]{40,200}"),
    own("openai-service-key", "sk-svcacct-", r"sk-svcacct-[A-Za-z0-9_-]{40,200}"),
    own("openai-admin-key", "sk-admin-", r"sk-admin-[A-Za-z0-9_-]{40,200}"),
    own("openai-api-key", "t3blbkfj", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", back=23),
    own("openai-ephemeral-key", "ek_", r"ek_[0-9a-f]{32}"),
    own("openrouter-key", "sk-or-v1-", r"sk-or-v1-[0-9a-f]{64}"),
    # DeepSeek, Moonshot, DashScope, Braintrust and others took over OpenAI's old prefix.
    begun("sk-api-key", "sk-", r"sk-(?:[0-9a-f]{32}|[A-Za-z0-9]{48})", entropy=3.2),
    own("huggingface-token", "hf_", r"hf_[A-Za-z0-9]{34}", entropy=3.5),
    own("huggingface-org-token", "api_org_", r"api_org_[A-Za-z0-9]{34}", entropy=3.5),
    own("replicate-token", "r8_", r"r8_[A-Za-z0-9]{37}", entropy=3.5),
    own("groq-api-key", "gsk_", r"gsk_[A-Za-z0-9]{52}", entropy=3.5),
    own("xai-api-key", "xai-", r"xai-[A-Za-z0-9]{80}", entropy=3.5),
    own("perplexity-api-key", "pplx-", r"pplx-[A-Za-z0-9]{48}", entropy=3.5),
    own("fireworks-api-key", "fw_", r"fw_[A-Za-z0-9]{22,24}", entropy=3.5),
    own("cerebras-api-key", "csk-", r"csk-[a-z0-9]{48}", entropy=3.5),
    own("together-api-key", "tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{43}"),
    begun("elevenlabs-api-key", "sk_", r"sk_[0-9a-f]{48}"),
    own("nvidia-api-key", "nvapi-", r"nvapi-[A-Za-z0-9_-]{60,70}"),
    own("vercel-ai-or-access-token", "vcp_ vci_ vca_ vcr_ vck_", r"vc[piark]_[A-Za-z0-9]{24,80}", entropy=3.5),
    own("langsmith-key", "lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    own("langfuse-secret-key", "sk-lf-", r"sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    own("helicone-key", "sk-helicone-", r"sk-helicone-(?:[a-z]{2}-)?[a-z0-9]{7}(?:-[a-z0-9]{7}){3}"),
    own("wandb-api-key", "wandb_v1_", r"wandb_v1_[A-Za-z0-9_-]{40,100}"),
    own("tavily-api-key", "tvly-", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}"),
    own("firecrawl-api-key", "fc-", r"fc-[0-9a-f]{32}"),
    own("jina-api-key", "jina_", r"jina_[0-9a-f]{32}[A-Za-z0-9_-]{28}"),
    own("context7-api-key", "ctx7sk-", r"ctx7sk-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    own("mem0-api-key", "m0-", r"m0-[A-Za-z0-9]{40}", entropy=3.5),
    own("pinecone-api-key", "pcsk_", r"pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{60,70}"),
    own("llamacloud-api-key", "llx-", r"llx-[A-Za-z0-9]{48}", entropy=3.5),
    own("e2b-api-key", "e2b_", r"e2b_[0-9a-f]{40}"),
    own("cursor-api-key", "key_", r"key_[0-9a-f]{64}"),
    own("amp-token", "sgamp_user_", r"sgamp_user_[A-Z0-9]{26}_[0-9a-f]{64}"),
    own("trigger-dev-key", "tr_dev_ tr_prod_ tr_stg_", r"tr_(?:dev|prod|stg)_[A-Za-z0-9]{20,24}", entropy=3.3),
    own("inngest-signing-key", "signkey-", r"signkey-(?:prod|test|branch)-[0-9a-f]{64}"),
    own("github-copilot-token", "tid=", r"tid=[0-9a-f]{32};exp=[0-9]{10};[A-Za-z0-9_=;:.,/-]{40,900}", reach=1000),
)
