//! What the functions of all roles have in common: which signatures can be called, and the hidden type that stands for
//! a function where a type is needed.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, GenericParam, ItemFn, Lit, Meta, PathArguments,
    PathSegment, Result, ReturnType, Safety, Type, Visibility, spanned::Spanned,
};

/// A function whose parameters are all of the form `name: Type`, generic over lifetimes at most.
pub(crate) struct Signature<'a> {
    pub(crate) function: &'a ItemFn,
    pub(crate) doc: String,
    /// The patterns and types of the parameters, in order.
    pub(crate) parameters: Vec<&'a syn::PatType>,
}

/// Reads the function below an attribute. `example` is what to write when there is none.
pub(crate) fn parse(item: TokenStream, attribute: &str, example: &str) -> Result<ItemFn> {
    let place = item.clone();
    syn::parse2(item)
        .map_err(|_| Error::new_spanned(place, format!("`#[{attribute}]` stands above a function: write `{example}`")))
}

impl<'a> Signature<'a> {
    pub(crate) fn of(function: &'a ItemFn, example: &str) -> Result<Self> {
        let signature = &function.sig;
        let refuse =
            |place: &dyn ToTokens, what: &str| Err(Error::new_spanned(place, format!("{what}: write `{example}`")));
        if let Some(asyncness) = &signature.asyncness {
            return refuse(asyncness, "the host calls a function and waits for it, so it cannot be `async`");
        }
        if let Safety::Unsafe(unsafety) = &signature.safety {
            return refuse(unsafety, "the host cannot know when calling an `unsafe` function is safe");
        }
        if let Some(generic) = signature.generics.params.iter().find(|p| !matches!(p, GenericParam::Lifetime(_))) {
            return refuse(
                generic,
                "a function of a plugin has columns of known types, so it can only be generic over lifetimes",
            );
        }
        let mut parameters = Vec::new();
        for argument in &signature.inputs {
            match argument {
                FnArg::Typed(parameter) => parameters.push(parameter),
                FnArg::Receiver(receiver) => return refuse(receiver, "a function of a plugin has no `self`"),
            }
        }
        Ok(Signature { function, doc: doc(&function.attrs), parameters })
    }

    pub(crate) fn name(&self) -> &'a Ident {
        &self.function.sig.ident
    }

    /// What the function returns; `missing` is said when it returns nothing.
    pub(crate) fn output(&self, missing: &str) -> Result<&'a Type> {
        match &self.function.sig.output {
            ReturnType::Type(_, output) => Ok(output),
            ReturnType::Default => Err(Error::new_spanned(&self.function.sig, missing)),
        }
    }

    /// The row that is the only parameter, or the first of two, and the config that is the second.
    pub(crate) fn row_and_config(&self, example: &str) -> Result<(TokenStream, Config)> {
        let (row, config) = match self.parameters.as_slice() {
            [row] => (row, Config::NONE),
            [row, config] => (row, Config::of(&config.ty)?),
            _ => {
                let place = &self.function.sig;
                return Err(Error::new_spanned(
                    place,
                    format!("a row comes in, and a config if need be: write `{example}`"),
                ));
            }
        };
        Ok((by_value(&row.ty, "a row", example)?, config))
    }

    /// The function, and `definition` as what `plugin!` finds under its name.
    pub(crate) fn with_definition(&self, definition: &TokenStream) -> TokenStream {
        let (function, name, visibility) = (self.function, self.name(), &self.function.vis);
        let marker = marker(visibility, name);
        let implementation = implementation(&quote!(#name), definition);
        quote!(#function #marker #implementation)
    }
}

/// A type with the name of a function. Types and functions have names apart, so that one `use` brings both.
fn marker(visibility: &Visibility, name: &Ident) -> TokenStream {
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, reason = "it is named after its function and never made")]
        #visibility enum #name {}
    }
}

/// Makes a type stand for a function of the plugin.
pub(crate) fn implementation(name: &TokenStream, definition: &TokenStream) -> TokenStream {
    quote! {
        impl ::tidemill_sdk::expand::PluginFunction for #name {
            fn definition() -> ::tidemill_sdk::expand::Definition {
                #definition
            }
        }
    }
}

/// The config of a function: its type, and how the function is handed it.
pub(crate) struct Config {
    pub(crate) ty: Option<TokenStream>,
}

impl Config {
    pub(crate) const NONE: Config = Config { ty: None };

    /// The config of a parameter of this type.
    pub(crate) fn of(ty: &Type) -> Result<Self> {
        match ty {
            Type::Reference(reference) if reference.mutability.is_none() => {
                Ok(Config { ty: Some(without_lifetimes(reference.elem.to_token_stream())) })
            }
            Type::Reference(reference) => {
                let inner = reference.elem.to_token_stream();
                Err(Error::new_spanned(ty, format!("a config is the same for every call: write `config: &{inner}`")))
            }
            _ => {
                let inner = ty.to_token_stream();
                Err(Error::new_spanned(
                    ty,
                    format!("a config is kept from call to call and lent: write `config: &{inner}`"),
                ))
            }
        }
    }

    /// The type, for the definition.
    pub(crate) fn ty(&self) -> TokenStream {
        self.ty.clone().unwrap_or_else(|| quote!(::tidemill_sdk::expand::NoConfig))
    }

    /// The argument, from a variable `config`; nothing when there is no config.
    pub(crate) fn argument(&self) -> Option<TokenStream> {
        self.ty.as_ref().map(|_| quote!(config))
    }
}

/// A type that is taken by value, without its lifetimes.
pub(crate) fn by_value(ty: &Type, what: &str, example: &str) -> Result<TokenStream> {
    match ty {
        Type::Reference(_) => Err(Error::new_spanned(ty, format!("{what} is handed over by value: write `{example}`"))),
        _ => Ok(without_lifetimes(ty.to_token_stream())),
    }
}

/// What is inside `Result<..>`, and whether there is one.
pub(crate) fn fallible(ty: &Type) -> (&Type, bool) {
    match argument_of(ty, "Result") {
        Some(inner) => (inner, true),
        None => (ty, false),
    }
}

/// The call of a function that may fail, given one that may.
pub(crate) fn as_result(call: &TokenStream, fallible: bool) -> TokenStream {
    if fallible { call.clone() } else { quote!(::core::result::Result::<_, ::core::convert::Infallible>::Ok(#call)) }
}

/// The first type argument of a type whose path ends in `name`.
pub(crate) fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The last segment of a type that is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The tokens of a type with every lifetime left to inference, so that it can be named inside another function.
pub(crate) fn without_lifetimes(tokens: TokenStream) -> TokenStream {
    let mut after_quote = false;
    let erase = |token: TokenTree| {
        let quoted = std::mem::replace(&mut after_quote, matches!(&token, TokenTree::Punct(p) if p.as_char() == '\''));
        match token {
            TokenTree::Ident(name) if quoted => TokenTree::Ident(Ident::new("_", name.span())),
            TokenTree::Group(group) => {
                let mut erased = Group::new(group.delimiter(), without_lifetimes(group.stream()));
                erased.set_span(group.span());
                TokenTree::Group(erased)
            }
            token => token,
        }
    };
    tokens.into_iter().map(erase).collect()
}

/// The text of the `///` lines above an item.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Refuses arguments of an attribute that takes none.
pub(crate) fn no_arguments(arguments: &TokenStream, attribute: &str) -> Result<()> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(Error::new(arguments.span(), format!("`#[{attribute}]` takes no arguments: write `#[{attribute}]`")))
}
