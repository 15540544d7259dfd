"""How kernels are compiled: every Numba flag of the project, once, with its reason.

Numba generates machine code for each function by itself, and again for all that it calls inside each of its
callers. Kernels are never called from Python, so they need none: a kernel is only lowered to LLVM's language, and
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
    # Other Python threads run while a kernel runs.
    "nogil": True,
}
# fastmath stays off: it would make isfinite() wrong, and let equal rows differ in their last bits.


class _KernelLibrary(JITCodeLibrary):
    """The library of one function, to be linked into entry functions with all that it calls, without machine code.

    Numba would copy what a function calls into its library, and so again into that of each caller's caller.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        """Set only the data layout, on which modules that are linked together must agree.

        The entry functions optimize the whole, as well, and in less time than optimizing twice takes.
        """
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.linkage = "linkonce_odr"  # may occur in several libraries
        self._finalized = True

    def _called(self, seen: dict[Any, None]) -> None:
        """Add all functions that are called to those seen, callers first."""
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
                # Functions that nothing calls so far are left out, hence the order.
                self._shared_module.link_in(module, preserve=True)
        return self._shared_module


class _Refusal(dict[Any, Any]):
    """A dictionary whose ``__getitem__`` takes the place of a kernel's entry point for Python.

    Numba accepts only a function written in C there; this one ends up in ``__missing__``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __missing__(self, arguments: Any) -> Any:
        raise TypeError(f"{self.name} is a kernel: only compiled code can call it")


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):
    """Numba's lowering without its last step, but with what that step would have registered."""

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


# Passes for features that kernels do not use: closures, with blocks, literal_unroll, array expressions.
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
    """A compiler with the Numba passes that kernels need, and with another lowering."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.passes = [
            (_KernelLowering if each is NativeLowering else each, reason)
            for each, reason in pipeline.passes
            if each.__name__ not in UNUSED_PASSES
        ]
        pipeline.finalize()
        pipeline._ENFORCING = False  # so that results are not checked again after each pass
        return [pipeline]


def _compiled(function: F, **options: Any) -> F:
    """Return a function compiled once for all numbers: by default, Numba compiles it anew for each constant."""
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
    """Compile a function into each of its callers: for functions that are called once per vector or block."""
    return _compiled(function, forceinline=True)
