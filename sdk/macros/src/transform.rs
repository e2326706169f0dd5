//! `#[transform]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{AssocType, Error, GenericArgument, PathArguments, Result, Type, TypeParamBound, spanned::Spanned};

use crate::signature::{Signature, argument_of, as_result, fallible, no_arguments, parse, without_lifetimes};

const EXAMPLE: &str = "fn name(row: Input) -> Output";
const RETURNS: &str =
    "a transform returns `Row`, `Option<Row>`, `Vec<Row>` or `impl Iterator<Item = Row>`, or a `Result` of one of them";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    no_arguments(&arguments, "transform")?;
    let function = parse(item, "transform", EXAMPLE)?;
    let signature = Signature::of(&function, EXAMPLE)?;
    let (input, config) = signature.row_and_config(EXAMPLE)?;
    let (returned, fails) = fallible(signature.output(&format!("{RETURNS}: write `-> ...` behind the parameters"))?);
    let (row, many) = row_of(returned)?;
    let output = without_lifetimes(row.to_token_stream());

    let (name, doc, config_type, config) = (signature.name(), &signature.doc, config.ty(), config.argument());
    let call = as_result(&quote!(#name(row, #config)), fails);
    // Placed at the type of the rows, where an error about them belongs.
    let place = row.span();
    let apply = if many {
        quote_spanned!(place=> ::tidemill_sdk::expand::flat_map(input, parents, |row| #call))
    } else {
        quote_spanned!(place=> ::tidemill_sdk::expand::map(input, |row| #call))
    };
    Ok(signature.with_definition(&quote! {
        ::tidemill_sdk::expand::Definition::transform::<#input, #output, #config_type>(#doc, |config, input, parents| { #apply })
    }))
}

/// The type of the rows that come out, and whether there may be any number of them.
fn row_of(returned: &Type) -> Result<(&Type, bool)> {
    if let Some(row) = argument_of(returned, "Option").or_else(|| argument_of(returned, "Vec")) {
        return Ok((row, true));
    }
    match returned {
        Type::ImplTrait(iterator) => match iterator.bounds.iter().find_map(item_of) {
            Some(row) => Ok((row, true)),
            None => Err(Error::new_spanned(returned, RETURNS)),
        },
        Type::Path(_) => Ok((returned, false)),
        _ => Err(Error::new_spanned(returned, RETURNS)),
    }
}

/// The `Row` of `Iterator<Item = Row>`.
fn item_of(bound: &TypeParamBound) -> Option<&Type> {
    let TypeParamBound::Trait(bound) = bound else { return None };
    let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Item" => Some(ty),
        _ => None,
    })
}
