//! `#[config]` and `#[state]`: serde's derives, through the SDK, so that a plugin depends on nothing else.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, Token, Variant, ext::IdentExt,
    punctuated::Punctuated,
};

use crate::signature::{argument_of, doc, no_arguments};

pub(crate) fn config(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let item = parse(&arguments, item, "config")?;
    let name = &item.ident;
    let container = SerdeOptions::of(&item.attrs)?;
    let (keywords, config) = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => (object(&fields.named, container.default)?, Some(of_struct(name))),
            fields => {
                return Err(Error::new_spanned(fields, "settings have names: write `struct Name { setting: String }`"));
            }
        },
        Data::Enum(data) => (choice(&data.variants)?, None),
        Data::Union(_) => return Err(Error::new_spanned(name, "`#[config]` stands above a struct or an enum")),
    };
    Ok(quote! {
        #[derive(::tidemill_sdk::expand::serde::Deserialize)]
        #[serde(crate = "::tidemill_sdk::expand::serde", deny_unknown_fields)]
        #item

        impl ::tidemill_sdk::expand::Setting for #name {
            fn keywords(schema: &mut ::std::string::String) {
                #keywords
            }
        }

        #config
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

/// What makes a struct of settings a config.
fn of_struct(name: &Ident) -> TokenStream {
    quote! {
        impl ::tidemill_sdk::expand::Config for #name {
            fn schema() -> ::core::option::Option<::std::string::String> {
                ::core::option::Option::Some(::tidemill_sdk::expand::config_schema::<Self>())
            }
            fn parse(json: ::core::option::Option<&str>) -> ::core::result::Result<Self, ::std::string::String> {
                ::tidemill_sdk::expand::parse_config(json)
            }
        }
    }
}

/// The code that writes the schema of a struct.
fn object(fields: &Punctuated<Field, Token![,]>, all_default: bool) -> Result<TokenStream> {
    let (mut properties, mut required) = (Vec::new(), Vec::new());
    for field in fields {
        let options = SerdeOptions::of(&field.attrs)?;
        let name = options.name(field.ident.as_ref().expect("only structs with named fields come here"));
        let doc = doc(&field.attrs);
        let description = if doc.is_empty() { String::new() } else { format!("\"description\":{},", json(&doc)) };
        let comma = if properties.is_empty() { "" } else { "," };
        let (head, ty) = (format!("{comma}{}:{{{description}", json(&name)), &field.ty);
        properties.push(quote! {
            schema.push_str(#head);
            <#ty as ::tidemill_sdk::expand::Setting>::keywords(schema);
            schema.push('}');
        });
        if !all_default && !options.default && argument_of(ty, "Option").is_none() {
            required.push(json(&name));
        }
    }
    let tail = format!("}},\"required\":[{}],\"additionalProperties\":false", required.join(","));
    Ok(quote! {
        schema.push_str("\"type\":\"object\",\"properties\":{");
        #(#properties)*
        schema.push_str(#tail);
    })
}

/// The code that writes the schema of an enum.
fn choice(variants: &Punctuated<Variant, Token![,]>) -> Result<TokenStream> {
    let mut names = Vec::new();
    for variant in variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(
                &variant.fields,
                "a setting is one of some names: leave the variant's content out",
            ));
        }
        names.push(json(&SerdeOptions::of(&variant.attrs)?.name(&variant.ident)));
    }
    let keywords = format!("\"enum\":[{}]", names.join(","));
    Ok(quote!(schema.push_str(#keywords);))
}

/// What serde's attribute says, as far as the schema can say it too.
#[derive(Default)]
struct SerdeOptions {
    rename: Option<String>,
    default: bool,
}

impl SerdeOptions {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut options = SerdeOptions::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|option| {
                if option.path.is_ident("rename") {
                    options.rename = Some(option.value()?.parse::<LitStr>()?.value());
                } else if option.path.is_ident("default") {
                    options.default = true;
                    if option.input.peek(Token![=]) {
                        option.value()?.parse::<LitStr>()?;
                    }
                } else {
                    return Err(option.error("of serde's attributes a config knows `default` and `rename`"));
                }
                Ok(())
            })?;
        }
        Ok(options)
    }

    fn name(&self, ident: &Ident) -> String {
        self.rename.clone().unwrap_or_else(|| ident.unraw().to_string())
    }
}

/// A text as JSON.
fn json(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            control if control.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json + "\""
}
