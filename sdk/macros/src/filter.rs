//! `#[filter]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Result};

use crate::signature::{Signature, as_result, fallible, last_segment, no_arguments, parse};

const EXAMPLE: &str = "fn name(row: Row) -> bool";
const RETURNS: &str = "a filter says whether to keep the row: write `-> bool` or `-> Result<bool, E>`";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    no_arguments(&arguments, "filter")?;
    let function = parse(item, "filter", EXAMPLE)?;
    let signature = Signature::of(&function, EXAMPLE)?;
    let (input, config) = signature.row_and_config(EXAMPLE)?;
    let (returned, fails) = fallible(signature.output(RETURNS)?);
    if last_segment(returned).is_none_or(|segment| segment.ident != "bool") {
        return Err(Error::new_spanned(returned, RETURNS));
    }

    let (name, doc, config_type, config) = (signature.name(), &signature.doc, config.ty(), config.argument());
    let call = as_result(&quote!(#name(row, #config)), fails);
    Ok(signature.with_definition(&quote! {
        ::tidemill_sdk::expand::Definition::filter::<#input, #config_type>(#doc, |config, input| {
            ::tidemill_sdk::expand::filter(input, |row| #call)
        })
    }))
}
