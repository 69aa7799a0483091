//! What can be computed element by element.
use super::Compute;

macro_rules! ops {
    ($($arity:literal: $($name:ident $text:literal,)*;)*) => {
        /// An elementwise function, by numpy's and Keras's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Op { $($($name,)*)* }

        impl Op {
            /// Every function.
            pub const ALL: &[Op] = &[$($(Op::$name,)*)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $($(Op::$name => $text,)*)* }
            }

            /// How many operands it takes.
            pub const fn arity(self) -> usize {
                match self { $($(Op::$name => $arity,)*)* }
            }
        }
    };
}

ops! {
    1:
    Negative "negative",
    Abs "abs",
    Sign "sign",
    Exp "exp",
    Expm1 "expm1",
    Log "log",
    Log1p "log1p",
    Sqrt "sqrt",
    Rsqrt "rsqrt",
    Square "square",
    Reciprocal "reciprocal",
    Sin "sin",
    Cos "cos",
    Tan "tan",
    Arcsin "arcsin",
    Arccos "arccos",
    Arctan "arctan",
    Sinh "sinh",
    Cosh "cosh",
    Tanh "tanh",
    Arcsinh "arcsinh",
    Arccosh "arccosh",
    Arctanh "arctanh",
    Erf "erf",
    Erfinv "erfinv",
    Lgamma "lgamma",
    Digamma "digamma",
    Floor "floor",
    Ceil "ceil",
    Round "round",
    Trunc "trunc",
    IsNan "isnan",
    IsInf "isinf",
    IsFinite "isfinite",
    LogicalNot "logical_not",
    BitwiseNot "bitwise_not",
    Sigmoid "sigmoid",
    Relu "relu",
    Relu6 "relu6",
    Softplus "softplus",
    Softsign "softsign",
    Silu "silu",
    Gelu "gelu",
    GeluTanh "gelu_tanh",
    Selu "selu",
    HardSigmoid "hard_sigmoid",
    HardSilu "hard_silu",
    LogSigmoid "log_sigmoid",
    Mish "mish",
    Real "real",
    Imag "imag",
    Conj "conj",
    ;
    2:
    Add "add",
    Subtract "subtract",
    Multiply "multiply",
    Divide "divide",
    FloorDivide "floor_divide",
    Mod "mod",
    Power "power",
    Maximum "maximum",
    Minimum "minimum",
    Arctan2 "arctan2",
    Equal "equal",
    NotEqual "not_equal",
    Less "less",
    LessEqual "less_equal",
    Greater "greater",
    GreaterEqual "greater_equal",
    LogicalAnd "logical_and",
    LogicalOr "logical_or",
    LogicalXor "logical_xor",
    BitwiseAnd "bitwise_and",
    BitwiseOr "bitwise_or",
    BitwiseXor "bitwise_xor",
    LeftShift "left_shift",
    RightShift "right_shift",
    // The second operand is the parameter.
    Elu "elu",
    LeakyRelu "leaky_relu",
    Celu "celu",
    ;
    3:
    // where(condition, x1, x2), clip(x, low, high)
    Where "where",
    Clip "clip",
    // x * y + z, rounded after each: what programs make of a product that is only added to something.
    MultiplyAdd "multiply_add",
    ;
}

impl Op {
    /// The function of that name.
    pub fn from_name(name: &str) -> Option<Op> {
        Op::ALL.iter().copied().find(|op| op.name() == name)
    }

    /// Whether the results are truth values: 0 or 1 in a register, bool in memory.
    pub const fn is_predicate(self) -> bool {
        use Op::*;
        matches!(
            self,
            IsNan
                | IsInf
                | IsFinite
                | LogicalNot
                | Equal
                | NotEqual
                | Less
                | LessEqual
                | Greater
                | GreaterEqual
                | LogicalAnd
                | LogicalOr
                | LogicalXor
        )
    }

    /// Whether a complex operand has a real result.
    pub const fn is_real_valued(self) -> bool {
        matches!(self, Op::Abs | Op::Real | Op::Imag)
    }

    /// Whether it means something for these numbers.
    pub const fn is_defined_for(self, compute: Compute) -> bool {
        use Op::*;
        match compute {
            Compute::F32 | Compute::F64 => !matches!(
                self,
                BitwiseNot | BitwiseAnd | BitwiseOr | BitwiseXor | LeftShift | RightShift
            ),
            Compute::I64 | Compute::U64 => {
                self.is_predicate()
                    || self.is_real_valued()
                    || matches!(
                        self,
                        Negative
                            | Sign
                            | Square
                            | Floor
                            | Ceil
                            | Round
                            | Trunc
                            | Conj
                            | BitwiseNot
                            | Relu
                            | Add
                            | Subtract
                            | Multiply
                            | FloorDivide
                            | Mod
                            | Power
                            | Maximum
                            | Minimum
                            | BitwiseAnd
                            | BitwiseOr
                            | BitwiseXor
                            | LeftShift
                            | RightShift
                            | Where
                            | Clip
                    )
            }
            Compute::C128 => {
                self.is_real_valued()
                    || matches!(
                        self,
                        Negative
                            | Sign
                            | Exp
                            | Expm1
                            | Log
                            | Log1p
                            | Sqrt
                            | Rsqrt
                            | Square
                            | Reciprocal
                            | Sin
                            | Cos
                            | Tan
                            | Arcsin
                            | Arccos
                            | Arctan
                            | Sinh
                            | Cosh
                            | Tanh
                            | Arcsinh
                            | Arccosh
                            | Arctanh
                            | IsNan
                            | IsInf
                            | IsFinite
                            | LogicalNot
                            | Conj
                            | Add
                            | Subtract
                            | Multiply
                            | Divide
                            | Power
                            | Equal
                            | NotEqual
                            | LogicalAnd
                            | LogicalOr
                            | LogicalXor
                            | Where
                    )
            }
        }
    }

    /// Its work per item, a sum being one.
    pub const fn cost(self) -> usize {
        use Op::*;
        match self {
            Exp | Expm1 | Log | Log1p | Sin | Cos | Tan | Tanh | Erf | Sigmoid | Softplus
            | Silu | Gelu | GeluTanh | Selu | Elu | Celu | LogSigmoid | Mish | Divide | Sqrt
            | Rsqrt | Arcsin | Arccos | Arctan | Arctan2 => 8,
            Arcsinh | Arccosh | Arctanh | Erfinv | Power => 16,
            Sinh | Cosh | Lgamma | Digamma | Mod | FloorDivide => 64,
            _ => 1,
        }
    }
}
