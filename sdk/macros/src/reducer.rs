//! `#[reducer]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Error, ImplItem, Item, ItemFn, ItemImpl, LitInt, Path, Result, meta, parse::Parser, parse_quote, spanned::Spanned,
};

use crate::signature::{Signature, doc, implementation};

const FUNCTION: &str = "fn add(a: i64, b: i64) -> i64";
const IMPL: &str = "impl Reducer for Name { .. }";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let place = item.clone();
    match syn::parse2(item)? {
        Item::Impl(item) => of_impl(arguments, item),
        Item::Fn(function) => of_function(arguments, &function),
        _ => Err(Error::new_spanned(place, format!("`#[reducer]` stands above `{IMPL}` or above `{FUNCTION}`"))),
    }
}

/// An implementation of the trait is left as it is, but for a note of whether it has `retract`.
fn of_impl(arguments: TokenStream, mut item: ItemImpl) -> Result<TokenStream> {
    let is_reducer =
        item.trait_.as_ref().and_then(|(path, _)| path.segments.last()).is_some_and(|s| s.ident == "Reducer");
    if !is_reducer {
        return Err(Error::new_spanned(&item.self_ty, format!("a reducer implements the trait: write `{IMPL}`")));
    }
    let (mut version, mut configured) = (1, false);
    meta::parser(|option| {
        if option.path.is_ident("version") {
            version = option.value()?.parse::<LitInt>()?.base10_parse::<u32>()?;
        } else if option.path.is_ident("config") {
            configured = true;
        } else {
            return Err(option.error("write `version = 2` or `config`; the inverse is written as `fn retract`"));
        }
        Ok(())
    })
    .parse2(arguments)?;

    let retracts =
        item.items.iter().any(|item| matches!(item, ImplItem::Fn(function) if function.sig.ident == "retract"));
    item.items.push(parse_quote!(const RETRACTS: bool = #retracts;));
    let (name, doc) = (item.self_ty.to_token_stream(), doc(&item.attrs));
    let definition = if configured {
        quote!(::tidemill_sdk::expand::Definition::reducer::<#name, #name>(#doc, #version, |reducer| reducer))
    } else {
        quote! {
            ::tidemill_sdk::expand::Definition::reducer::<#name, ::tidemill_sdk::expand::NoConfig>(#doc, #version, |_| #name)
        }
    };
    let implementation = implementation(&name, &definition);
    Ok(quote!(#item #implementation))
}

/// An associative function of two values is a reducer whose state is a value.
fn of_function(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let mut inverse: Option<Path> = None;
    meta::parser(|option| {
        if !option.path.is_ident("inverse") {
            return Err(option.error("write `inverse = function`"));
        }
        inverse = Some(option.value()?.parse()?);
        Ok(())
    })
    .parse2(arguments)?;

    let signature = Signature::of(function, FUNCTION)?;
    let refuse = |place| Error::new(place, format!("two values become one of the same type: write `{FUNCTION}`"));
    let output = signature.output(&format!("two values become one: write `{FUNCTION}`"))?;
    let value = output.to_token_stream();
    match signature.parameters.as_slice() {
        [a, b] => {
            for parameter in [a, b] {
                if parameter.ty.to_token_stream().to_string() != value.to_string() {
                    return Err(refuse(parameter.ty.span()));
                }
            }
        }
        _ => return Err(refuse(function.sig.span())),
    }

    let (name, doc, retracts) = (signature.name(), &signature.doc, inverse.is_some());
    let inverse = inverse.map_or_else(|| quote!(#name), |inverse| quote!(#inverse));
    Ok(signature.with_definition(&quote! {
        ::tidemill_sdk::expand::Definition::reducer(#doc, 1, |_: ::tidemill_sdk::expand::NoConfig| {
            ::tidemill_sdk::expand::Fold::<#value, #retracts> { merge: #name, inverse: #inverse }
        })
    }))
}
