"""What bursar calls to cover the OpenAI SDK. Nothing of the SDK is imported before it is needed."""

from bursar.sdk import ClientHooks

hooks = ClientHooks("openai", adapter="bursar_openai._adapter")
