//! `#[config]` and `#[state]`: serde's derives, through the SDK, so that a plugin depends on nothing else.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

use crate::signature::no_arguments;

pub(crate) fn config(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item = parse(&arguments, item, "config")?;
    let name = &item.ident;
    Ok(quote! {
        #[derive(::tidemill_sdk::expand::serde::Deserialize, ::tidemill_sdk::expand::schemars::JsonSchema)]
        #[serde(crate = "::tidemill_sdk::expand::serde", deny_unknown_fields)]
        #[schemars(crate = "::tidemill_sdk::expand::schemars")]
        #item

        impl ::tidemill_sdk::expand::Config for #name {
            fn schema() -> ::core::option::Option<::std::string::String> {
                ::core::option::Option::Some(::tidemill_sdk::expand::config_schema::<Self>())
            }
            fn parse(
                json: ::core::option::Option<&str>,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                ::tidemill_sdk::expand::parse_config(json)
            }
        }
    })
}

pub(crate) fn state(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item = parse(&arguments, item, "state")?;
    Ok(quote! {
        #[derive(::tidemill_sdk::expand::serde::Serialize, ::tidemill_sdk::expand::serde::Deserialize)]
        #[serde(crate = "::tidemill_sdk::expand::serde")]
        #item
    })
}

fn parse(arguments: &TokenStream, item: TokenStream, attribute: &str) -> Result<DeriveInput> {
    no_arguments(arguments, attribute)?;
    let place = item.clone();
    let item: DeriveInput = syn::parse2(item)
        .map_err(|_| Error::new_spanned(place, format!("`#[{attribute}]` stands above a struct or an enum")))?;
    match item.generics.params.first() {
        None => Ok(item),
        Some(generic) => Err(Error::new_spanned(
            generic,
            format!("a {attribute} owns all it holds: write the types out, without lifetimes"),
        )),
    }
}
