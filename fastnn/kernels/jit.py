"""How kernels are compiled: every Numba flag of the project, once, with its reason.

Numba makes machine code of each function on its own, and again of all it calls inside each of its callers.
Kernels are never called from Python, so theirs is left out: a kernel is only lowered to LLVM's language, and
the entry functions (fastnn/compiled.py) optimize and compile the whole once. That takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

F = TypeVar("F", bound=Callable[..., Any])

FLAGS: dict[str, Any] = {
    # The Python error model keeps a ZeroDivisionError branch at every division.
    "error_model": "numpy",
    # Other Python threads run while a kernel does.
    "nogil": True,
}
# fastmath stays off: it would make isfinite() lie, and let equal rows differ in their last bits.


class _KernelLibrary(JITCodeLibrary):
    """One function, to be linked into entry functions with all it calls; no machine code of its own.

    Numba would copy what a function calls into its library, and so again into that of each caller's caller.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        """Not yet: the entry functions do that with the whole, as well, and in less time than it takes twice.

        What is linked together must agree on how data are laid out.
        """
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.linkage = "linkonce_odr"  # may stand in several libraries
        self._finalized = True

    def _called(self, seen: dict[Any, None]) -> None:
        """Add all that is called to what was seen, in an order in which callers come first."""
        for library in self._linking_libraries:
            if library not in seen:
                seen[library] = None
                if isinstance(library, _KernelLibrary):
                    library._called(seen)

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None:
            called: dict[Any, None] = {}
            self._called(called)
            self._shared_module = self._final_module.clone()
            for library in called:
                own = isinstance(library, _KernelLibrary)
                module = library._final_module if own else library._get_module_for_linking()
                # What nothing calls so far is left out: therefore the order.
                self._shared_module.link_in(module, preserve=True)
        return self._shared_module


class _Refusal(dict[Any, Any]):
    """Its ``__getitem__`` stands where Numba wants a kernel's entry point for Python.

    Numba takes nothing but a function written in C there; this one ends up in ``__missing__``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __missing__(self, arguments: Any) -> Any:
        raise TypeError(f"{self.name} is a kernel: only compiled code can call it")


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):
    """Numba's lowering without its last step, and with what that would have registered."""

    _name = "fastnn_kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        state.flags.no_cpython_wrapper = True
        state.flags.no_cfunc_wrapper = True
        super().run_pass(state)
        entry_point = _Refusal(state.func_id.func_qualname).__getitem__
        state.cr = state.cr._replace(cfunc=entry_point)
        state.targetctx.insert_user_function(entry_point, state.cr.fndesc, [state.library])
        return True


# Passes for what kernels do not use: closures, with blocks, literal_unroll, array expressions.
UNUSED_PASSES = {
    "WithLifting",
    "InlineClosureLikes",
    "RewriteSemanticConstants",
    "DeadBranchPrune",
    "RewriteDynamicRaises",
    "MakeFunctionToJitFunction",
    "InlineInlinables",
    "FindLiterallyCalls",
    "LiteralUnroll",
    "LiteralPropagationSubPipelinePass",
    "InlineOverloads",
    "NopythonRewrites",
    "DumpParforDiagnostics",
}


class _KernelCompiler(Compiler):  # type: ignore[misc]
    """Those of Numba's own passes that kernels need, with another lowering."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_KernelLowering if each is NativeLowering else each, reason)
            for each, reason in pipeline.passes
            if each.__name__ not in UNUSED_PASSES
        ]
        pipeline.finalize()
        pipeline._ENFORCING = False  # not to check again after each pass what it has made
        return [pipeline]


def _compiled(function: F, **options: Any) -> F:
    """Compiled once for all numbers it is called with: Numba would compile it anew for each constant."""
    made = numba.njit(pipeline_class=_KernelCompiler, **options, **FLAGS)(function)
    if numba.config.DISABLE_JIT:
        return made  # type: ignore[no-any-return]
    get_template = made.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        return get_template(
            tuple(types.unliteral(kind) for kind in args),
            {name: types.unliteral(kind) for name, kind in kws.items()},
        )

    made.get_call_template = get_call_template
    return made  # type: ignore[no-any-return]


def kernel(function: F) -> F:
    """Compile a function that other kernels call."""
    return _compiled(function)


def inlined(function: F) -> F:
    """Compile a function into each of its callers: for what is called once a vector or a block."""
    return _compiled(function, forceinline=True)
