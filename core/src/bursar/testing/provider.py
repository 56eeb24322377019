"""A provider on this machine: real HTTP, real shapes, and a bill of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType

from ._backend import Backend
from ._bill import Rate
from ._http import Server
from ._script import Output


class ScriptedProvider(Backend):
    """Speaks the HTTP of OpenAI and Anthropic on 127.0.0.1, and bills like them.

    Chat completions, completions, Responses, embeddings, pictures, speech and transcriptions of
    OpenAI, also under the paths of Azure, and messages of Anthropic, whole and streamed. It counts
    the input by the bytes that arrive, stops at the output cap, multiplies by ``n``, rejects what
    the real ones reject (also more than a model can read or write), and tells the usage of a chat
    stream only when asked. The bill is written before an answer's first byte, by rates and
    arithmetic that it shares with nobody.

    Args:
        rates: price list entries by model, instead of the built-in ones.
        snapshots: the dated names that answer (``{"gpt-4o": "gpt-4o-2024-08-06"}``).
        bytes_per_token: how the input is counted; 1 is the harshest tokenizer there can be.
        output_tokens: how much it writes where a `Reply` does not say; ``"most"``: as much as each
            request allows, and where it has no cap, as the model can.
        deployments: the models behind the names of Azure's deployments; a name that is not here
            is that of its model.

    Attributes:
        rates: the price list, which may be changed at any time, as the other arguments may.
        hits: requests that arrived at a billable endpoint, whatever became of them.
        arrivals: requests that arrived anywhere.
        calls: requests that are on the bill.
        bill: what is owed, in USD; `bill_nanos` in nano-dollars.

    A client that goes away in the middle of an answer pays for all of it, as at a provider that
    goes on generating. Unlisted models are unknown (404). The service tier is told but does not
    change the price: change `rates`.

    Raises:
        ValueError: fewer than one byte to a token, or less than no output.
    """

    def __init__(
        self,
        *,
        rates: Mapping[str, Rate] | None = None,
        snapshots: Mapping[str, str] | None = None,
        bytes_per_token: int = 4,
        output_tokens: Output = 40,
        deployments: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            rates=rates,
            snapshots=snapshots,
            bytes_per_token=bytes_per_token,
            output_tokens=output_tokens,
            deployments=deployments,
        )
        self._server: Server | None = None

    def start(self) -> ScriptedProvider:
        """Listen, on a port that is free; `with` does it by itself."""
        if self._server is not None:
            raise RuntimeError("the provider is listening already")
        self._server = Server(self)
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True, name="provider"
        ).start()
        return self

    def stop(self) -> None:
        """Listen no more, and lose the connections that are open.

        Raises:
            BaseException: what a scripted function raised, the first if several did. Its client
                got status 500, which it may have retried or swallowed. Leaving a `with` block
                raises it too, unless the block raises something itself.
        """
        self._close()
        failure = self.take_failure()
        if failure is not None:
            raise failure

    def _close(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.close()

    def __enter__(self) -> ScriptedProvider:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._close()

    @property
    def port(self) -> int:
        """Of 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the provider is not listening; use it in a with block, or call start()")
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where it listens; the ``base_url`` of Anthropic's SDK, and the ``azure_endpoint`` of OpenAI's."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def anthropic_url(self) -> str:
        """The ``base_url`` of Anthropic's SDK."""
        return self.url

    @property
    def openai_url(self) -> str:
        """The ``base_url`` of OpenAI's SDK."""
        return f"{self.url}/v1"
