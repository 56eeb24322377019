"""What bursar calls to cover the Anthropic SDK. Nothing of the SDK is imported before it is needed."""

from bursar.sdk import ClientHooks

hooks = ClientHooks("anthropic", adapter="bursar_anthropic._adapter")
